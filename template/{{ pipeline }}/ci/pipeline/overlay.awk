# Writes a kustomization once more, with the digest of the image `repository` and the twin that
# belongs to it. Ends with 3 where it has no such image.
function value(line) {
  sub(/^[^:]*: */, "", line)
  gsub(/["'\r]/, "", line)
  sub(/ +#.*$/, "", line)
  return line
}

# The lines of one item of `images:` are in item[1] to item[count].
function flush(   i, ours, written) {
  if (!count) return
  for (i = 1; i <= count; i++)
    if (item[i] ~ /^[ -]*(newName|name):/ && value(item[i]) == repository) ours = 1
  for (i = 1; i <= count; i++) {
    if (!ours || item[i] !~ /^ *(- +)?(digest|newTag):/) {
      print item[i]
    } else if (!written) {
      sub(/(digest|newTag):.*/, "digest: " digest, item[i])
      print item[i]
      written = 1
    }
  }
  if (ours && !written) print inner "digest: " digest
  found = found || ours
  count = 0
}

function annotate() {
  print "  debug-image: " repository "@" twin
  print "  debug-image-of: " digest
  annotated = 1
}

/^[A-Za-z]/ {
  flush()
  section = $1
  if (section == "commonAnnotations:") {
    print
    annotate()
    next
  }
}
section == "images:" && /^ *- / {
  flush()
  inner = $0
  sub(/-.*/, "  ", inner)
  item[++count] = $0
  next
}
section == "images:" && count && /^ *[^ ]/ && !/^[A-Za-z]/ {
  item[++count] = $0
  next
}
section == "commonAnnotations:" && /^ +debug-image(-of)?:/ { next }
{
  flush()
  print
}
END {
  flush()
  if (!annotated) {
    if ($0 != "") print ""
    print "commonAnnotations:"
    annotate()
  }
  if (!found) exit 3
}
