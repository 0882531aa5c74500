# What a Dockerfile stands on.
#
#   awk -v mode=list   lines "ARGUMENT IMAGE": global arguments *_IMAGE, and with a -
#                    for the argument the images that FROM and COPY --from name
#   awk -v mode=inputs the files and directories that COPY and ADD take from the context
#   awk -v mode=pin -v bases=FILE   the Dockerfile with @digest after each image named
#                    literally; FILE has lines "ARGUMENT IMAGE DIGEST"

BEGIN {
  while (bases != "" && (getline line < bases) > 0) {
    split(line, part, " ")
    digest[part[2]] = part[3]
  }
}

function is_image(name) {
  return name != "scratch" && name !~ /\$/ && !(name in stage) && name ~ /[\/:@]/
}

function pinned(name) {
  return is_image(name) && name !~ /@/ && name in digest ? name "@" digest[name] : name
}

function report(argument, name) {
  if (mode == "list" && !seen[argument, name]++) print argument, name
}

# One instruction, its continuation lines joined, its original lines kept in text.
function instruction(joined,    words, count, i, name, sources, last) {
  gsub(/["']/, "", joined)
  gsub(/[][,]/, " ", joined)
  count = split(joined, words, /[ \t]+/)
  i = words[1] == "" ? 2 : 1
  name = toupper(words[i])
  if (name == "ARG" && !from_seen) {
    for (i++; i <= count; i++) {
      split(words[i], sources, "=")
      if (sources[1] ~ /_IMAGE$/ && is_image(sources[2])) report(sources[1], sources[2])
    }
  } else if (name == "FROM") {
    from_seen = 1
    for (i++; words[i] ~ /^--/; i++) continue
    if (is_image(words[i])) report("-", words[i])
    replace(words[i], pinned(words[i]))
    if (toupper(words[i + 1]) == "AS") stage[words[i + 2]] = 1
  } else if (name == "COPY" || name == "ADD") {
    last = words[count] == "" ? count - 1 : count
    for (i++; words[i] ~ /^--/; i++)
      if (words[i] ~ /^--from=/) {
        name = substr(words[i], 8)
        if (is_image(name)) report("-", name)
        replace(name, pinned(name))
        return
      }
    for (; mode == "inputs" && i < last; i++) print words[i]
  }
}

function replace(old, new,    at) {
  at = index(text, old)
  if (old != new && at) text = substr(text, 1, at - 1) new substr(text, at + length(old))
}

/^[ \t]*(#|$)/ {
  if (mode == "pin" && joined == "") print
  else text = text $0 "\n"
  next
}

{
  text = text $0 "\n"
  line = $0
  if (sub(/\\[ \t]*$/, " ", line)) {
    joined = joined line
    next
  }
  instruction(joined line)
  if (mode == "pin") printf "%s", text
  joined = text = ""
}

END {
  if (mode == "pin") printf "%s", text
}
