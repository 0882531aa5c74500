#!/bin/sh
# Stands in for /kaniko/executor: takes exactly the flags that the pipeline uses, and
# has the test process build with buildah (standin.py), by way of a shared directory.
set -eu
known='context dockerfile log-format digest-file target tar-path build-arg destination cache-repo registry-map insecure-registry'
switches='no-push reproducible cache=true cache=false'
request=/standin/$$.$(date +%s)
mkdir -p "$request.new"
context=''
while [ $# -gt 0 ]; do
  flag=${1#--}
  case " $switches " in
    *" $flag "*)
      printf '%s\n' "$flag" >>"$request.new/flags"
      shift
      continue
      ;;
  esac
  case " $known " in
    *" $flag "*) ;;
    *)
      echo "Error: unknown flag: $1" >&2
      exit 1
      ;;
  esac
  [ $# -ge 2 ] || { echo "Error: flag needs an argument: $1" >&2; exit 1; }
  printf '%s=%s\n' "$flag" "$2" >>"$request.new/flags"
  [ "$flag" != context ] || context=${2#dir://}
  [ "$flag" != dockerfile ] || cp "$2" "$request.new/Dockerfile"
  case $flag in digest-file) digest_file=$2 ;; tar-path) tar_path=$2 ;; esac
  shift 2
done
cp -a "$context" "$request.new/context"
[ ! -f "$DOCKER_CONFIG/config.json" ] || cp "$DOCKER_CONFIG/config.json" "$request.new/config.json"
mv "$request.new" "$request"
while [ ! -e "$request/code" ]; do sleep 0.1; done
cat "$request/log"
[ ! -e "$request/image.tar" ] || cp "$request/image.tar" "$tar_path"
[ ! -e "$request/digest" ] || cp "$request/digest" "$digest_file"
exit "$(cat "$request/code")"
