# Merges config.json files of docker into one; a later file wins over an earlier one.
#
#   awk -v keys=FILE -f credentials.awk CONFIG...
#
# `auths`, `credHelpers` and `HttpHeaders` are merged entry by entry. Docker Hub's entries
# get the one name that crane and Kaniko look for. What is in files whose name ends in .own
# also wins over a credsStore. The keys that were given are left in FILE, one a line.
# A file that is not JSON is named, with exit code 2, and none of it is shown.

function bad() {
  failed = 1
  print FILENAME > "/dev/stderr"
  exit 2
}

function skip() {
  while (substr(text, at, 1) ~ /^[ \t\r\n]$/) at++
}

function string(    start, c) {
  start = at++
  while ((c = substr(text, at, 1)) != "\"") {
    if (c == "") bad()
    at += c == "\\" ? 2 : 1
  }
  return substr(text, start, ++at - start)
}

# Passes over a value and returns it as it is written. The members of the object at the
# top go to `top`, and those of the objects to be merged to `entry`.
function value(level, group,    start, c, name, member) {
  skip()
  start = at
  c = substr(text, at, 1)
  if (c == "\"") return string()
  if (c == "{" || c == "[") {
    at++
    for (skip(); substr(text, at, 1) != (c == "{" ? "}" : "]"); skip()) {
      if (c == "{") {
        if (substr(text, at, 1) != "\"") bad()
        name = string()
        skip()
        if (substr(text, at++, 1) != ":") bad()
      }
      member = value(level + 1, level == 0 && c == "{" ? name : "")
      if (c == "{" && level == 0 && name !~ merged) put(name, member)
      if (c == "{" && level == 1 && group ~ merged) add(group, name, member)
      skip()
      if (substr(text, at, 1) == ",") {
        at++
        skip()
        if (substr(text, at, 1) ~ /^[]}]$/) bad()
      } else if (substr(text, at, 1) !~ /^[]}]$/) bad()
    }
    at++
    return substr(text, start, at - start)
  }
  if (!match(substr(text, at), /^(true|false|null|-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?)/)) bad()
  at += RLENGTH
  return substr(text, start, at - start)
}

function is_empty(member) {
  gsub(/[ \t\r\n]/, "", member)
  return member == "{}" || member == "\"\""
}

function put(name, member) {
  if (!(name in top)) order[++count] = name
  top[name] = member
}

function add(group, name, member) {
  if (group != "\"HttpHeaders\"") {
    if (name ~ /^"(https?:\/\/)?(docker\.io|index\.docker\.io|registry-1\.docker\.io)(\/(v[12]\/?)?)?"$/)
      name = "\"https://index.docker.io/v1/\""
    sub(/^"docker\.io\//, "\"index.docker.io/", name)
  }
  if (!((group, name) in entry)) entries[group, ++size[group]] = name
  else if (is_empty(member)) return # as a credsStore leaves it behind
  entry[group, name] = member
  if (FILENAME ~ /\.own$/ && group == "\"auths\"") own[name] = 1
}

function read_all() {
  if (text == "") return
  at = 1
  if (substr(value(0, ""), 1, 1) != "{") bad()
  skip()
  if (at <= length(text)) bad()
  text = ""
}

BEGIN { merged = "^\"(auths|credHelpers|HttpHeaders)\"$" }

# The file before has ended; its name is needed for a fault in it.
FNR == 1 && NR > 1 {
  now = FILENAME
  FILENAME = last
  read_all()
  FILENAME = now
}

{
  last = FILENAME
  text = text $0 "\n"
}

END {
  if (failed) exit 2
  FILENAME = last
  read_all()
  store = top["\"credsStore\""]
  if (store != "") {
    helper = substr(store, 2, length(store) - 2)
    if (helper !~ /^[A-Za-z0-9._-]+$/ || system("command -v docker-credential-" helper " >/dev/null 2>&1")) {
      delete top["\"credsStore\""]
      print "no docker-credential-" helper " here: its credsStore is left out" > "/dev/stderr"
    } else
      for (name in own)
        if (!(("\"credHelpers\"", name) in entry)) add("\"credHelpers\"", name, "\"\"")
  }
  groups = split("\"auths\" \"credHelpers\" \"HttpHeaders\"", group, " ")
  printf "{"
  for (g = 1; g <= groups; g++) {
    name = group[g]
    if (!size[name] && g > 1) continue
    printf "%s%s:{", (g > 1 ? "," : ""), name
    for (i = 1; i <= size[name]; i++) {
      key = entries[name, i]
      member = entry[name, key]
      printf "%s%s:%s", (i > 1 ? "," : ""), key, member
      if (g < 3 && !is_empty(member)) print substr(key, 2, length(key) - 2) > keys
    }
    printf "}"
  }
  for (i = 1; i <= count; i++) if (order[i] in top) printf ",%s:%s", order[i], top[order[i]]
  print "}"
}
