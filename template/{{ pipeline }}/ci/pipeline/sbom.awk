# Adds what the lists at the top of the first file have to those of the second, which is given
# twice. Both are JSON as Syft writes it for people: one item a line, its depth by its indent.
FNR == 1 { pass++ }
FNR == 2 { depth = match($0, /"/) }

/^ +"[A-Za-z]+": \[$/ && match($0, /"/) == depth {
  name = $1
  inside = 1
  if (pass == 1) names[++count] = name
  if (pass == 2) there[name] = 1
  if (pass == 3) {
    print
    if (items[name] != "") print items[name] ","
  }
  next
}

pass == 1 && inside {
  if (match($0, /[^ ]/) == depth) inside = 0
  else items[name] = items[name] (items[name] == "" ? "" : "\n") $0
}

pass == 3 { print }

# A list that the second file lacks goes to its beginning.
pass == 3 && FNR == 1 {
  for (i = 1; i <= count; i++)
    if (!(names[i] in there)) print " " names[i] " [\n" items[names[i]] "\n ],"
}
