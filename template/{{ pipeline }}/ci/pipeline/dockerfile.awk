# What a Dockerfile stands on. It is read as the builders read it: continuations,
# heredocs and the escape directive, quotes, and variables by their defaults in the file.
#
#   awk -v mode=list   lines "ARGUMENT IMAGE": global arguments *_IMAGE, and with a -
#                    for the argument the other images that FROM and COPY --from name
#   awk -v mode=inputs the files and directories that the build takes from the context
#   awk -v mode=pin -v bases=FILE   the Dockerfile with @digest after each of the other
#                    images; FILE has lines "ARGUMENT IMAGE DIGEST"
#
# What the file does not tell stops it: one line on stderr, status 1. ci/conformance
# says the same of the same files, in the same words.

BEGIN {
  while (bases != "" && (getline line < bases) > 0) {
    split(line, part, " ")
    digest[part[2]] = part[3]
  }
  escape = "\\"
  most = 1048576 # characters that the variables of a file may expand to
  deepest = 50   # braces in braces
  component = "[a-z0-9]+((\\.|__?|-+)[a-z0-9]+)*"
  host = "([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?/)?"
  tag = "(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]+)?"
  image_form = "^" host component "(/" component ")*" tag "$"
  directives = 1
}

# ── the file: instructions with their lines, and what stands between them ────

NR == 1 {
  file = FILENAME
  sub(/^\.\//, "", file)
  # No build argument reaches the build of the CI image.
  passed = file !~ /(^|\/)ci\/image\/Dockerfile$/
}

{
  text = text $0 "\n"
  line = $0
  if (NR == 1 && index(line, "\357\273\277") == 1) line = substr(line, length("\357\273\277") + 1)
  sub(/\r+$/, "", line)
}

waiting { # for the end of a heredoc
  ends = line
  if (tabs[heredoc]) sub(/^\t+/, "", ends)
  if (ends == end_of[heredoc] && ++heredoc > heredocs) finish()
  next
}

line ~ /^[ \t\v\f]*(#|$)/ {
  if (directives && line ~ /^[ \t]*#/) directive(line)
  else directives = 0
  if (joined == "" && !open) finish()
  next
}

{
  directives = 0
  if (!open) {
    began = NR
    sub(/^[ \t\v\f]+/, "", line)
  }
  open = 0
  bare = line
  sub(/[ \t]+$/, "", bare)
  if (substr(bare, length(bare)) == escape && substr(bare, length(bare) - 1, 1) != escape) {
    joined = joined substr(bare, 1, length(bare) - 1)
    open = 1
    next
  }
  joined = joined line
  complete()
}

function directive(line,    name, value) {
  name = value = line
  sub(/^[ \t]*#[ \t]*/, "", name)
  if (name !~ /^[A-Za-z][A-Za-z0-9]*[ \t]*=[ \t]*[^ \t]/) {
    directives = 0
    return
  }
  sub(/[ \t]*=.*$/, "", name)
  name = tolower(name)
  if (name != "escape" && name != "syntax" && name != "check") directives = 0
  if (name != "escape") return
  sub(/^[^=]*=[ \t]*/, "", value)
  sub(/[ \t]+$/, "", value)
  if (value != "\\" && value != "`")
    stop("the escape directive is \"" value "\", expected \\ or `", NR, "")
  escape = value
}

# An instruction is whole but for its heredocs.
function complete() {
  joined = trimmed(joined)
  if (joined == "") {
    finish()
    return
  }
  instruction[++instructions] = joined
  began_at[instructions] = began
  heredocs_of(joined)
  if (heredocs) {
    heredoc = 1
    waiting = 1
  } else {
    finish()
  }
}

# What has been read since the last call, for mode=pin.
function finish() {
  chunk[++chunks] = text
  chunk_of[chunks] = waiting || joined != "" ? instructions : 0
  text = joined = ""
  open = waiting = heredocs = 0
}

function heredocs_of(line,    keyword, words, count, i, word) {
  heredocs = 0
  keyword = toupper(first(line))
  if (keyword == "ONBUILD") {
    line = rest(line)
    keyword = toupper(first(line))
  }
  if (keyword !~ /^(RUN|COPY|ADD)$/ || index(line, "<<") == 0) return
  if (arguments(rest(line)) ~ /^\[/ && json(arguments(rest(line)), words) >= 0) return
  expand(line, "anything")
  if (error != "") {
    error = ""
    return
  }
  count = shell_words(line, words)
  for (i = 1; i <= count; i++) {
    word = words[i]
    if (word !~ /^[0-9]*<<-?[ \t\r]*[^< \t\r][^<]*$/) continue
    sub(/^[0-9]*<</, "", word)
    tabs[heredocs + 1] = sub(/^-/, "", word)
    word = unquoted(trimmed(word))
    if (word != "") end_of[++heredocs] = word
  }
}

# ── the stages ───────────────────────────────────────────────────────────────

END {
  if (failed) exit 1
  if (waiting) stop("the heredoc " end_of[heredoc] " has no end", began, "")
  if (joined != "") complete()
  if (text != "") finish()
  spent = 0
  for (at = 1; at <= instructions; at++) take_names(at)
  if (!stages) stop("no FROM in the file", 1, "")
  stage = 0
  spent = 0
  for (at = 1; at <= instructions; at++) look_at(at)
  if (mode == "pin")
    for (at = 1; at <= chunks; at++)
      printf "%s", chunk_of[at] ? replaced(chunk[at], chunk_of[at]) : chunk[at]
}

function take_names(at,    line, keyword, words, count) {
  line = instruction[at]
  keyword = toupper(first(line))
  if (keyword == "FROM") {
    count = blank_words(arguments(rest(line)), words)
    base_of[++stages] = words[1]
    name_of[stages] = count == 3 && toupper(words[2]) == "AS" ? tolower(words[3]) : ""
  } else if (keyword == "ARG" && !stages) {
    global_arguments(arguments(rest(line)), began_at[at])
  }
}

function global_arguments(line, number,    words, count, i, name, value) {
  count = quoted_words(line, words)
  for (i = 1; i <= count; i++) {
    name = words[i]
    sub(/=.*$/, "", name)
    declared[name] = 1
    if (index(words[i], "=") == 0) continue
    value = expand(substr(words[i], length(name) + 2), "global")
    if (error != "") stop("ARG " name ": " error, number, "")
    if (!(name in global)) {
      argument[++argument_count] = name
      argument_line[name] = number
    }
    global[name] = value
    global_missing[name] = missing
    global_unset[name] = unset
  }
}

function look_at(at,    line, keyword, triggered) {
  line = instruction[at]
  number = began_at[at]
  keyword = toupper(first(line))
  line = rest(line)
  if (keyword == "FROM") {
    start_stage(at)
    return
  }
  if (!stage) return
  if (keyword == "ONBUILD") {
    keyword = toupper(first(line))
    line = rest(line)
    triggered = 1
  }
  line = arguments(line)
  if (keyword == "COPY" && flag("from") != "\n") copy_from(at, flag("from"))
  else if (mode == "inputs" && !triggered) inputs(keyword, line)
  if (!triggered) variables(keyword, line)
}

function start_stage(at,    name, word, value, i) {
  if (!stage++ && passed)
    for (i = 1; i <= argument_count; i++) {
      name = argument[i]
      if (name ~ /_IMAGE$/ && global[name] ~ /[\/:@]/ && global_missing[name] == "") {
        given[name] = 1
        report(name, global[name])
      }
    }
  word = base_of[stage]
  name = word
  sub(/^\$\{?/, "", name)
  sub(/}$/, "", name)
  if (word != "$" name && word != "${" name "}") name = ""
  if (name !~ /^[A-Za-z0-9_]+$/) name = ""
  spent = 0
  value = expand(word, "global")
  enter_stage(value)
  if (error != "") stop("FROM " word ": " error, number, "write it as docker reads it")
  if (missing != "") {
    split(missing, part, " ")
    if (name == part[1] && name in declared)
      stop("ARG " name " names no image", number, "give it the base as its default")
    stop("FROM " word " needs a value for " part[1], number, "write ARG " part[1] "=… before the first FROM")
  }
  if (value == "scratch" || stage_before(value)) return
  must_be_image(value, "FROM ")
  if (name in given) return
  report("-", value)
  pin(at, word, value)
}

# The number of the stage of that name before the current one, or 0; docker knows it in FROM
# by small letters alone.
function stage_before(name,    i) {
  for (i = stage - 1; i > 0; i--)
    if (name_of[i] == name && name != "") return i
  return 0
}

function copy_from(at, source,    i) {
  if (source ~ /^[+-]?[0-9]+$/) return
  for (i = 1; i <= stages; i++) if (name_of[i] == tolower(source) && source != "") return
  must_be_image(source, "COPY --from=")
  report("-", source)
  pin(at, source, source)
}

function must_be_image(name, where,    shown) {
  if (name == "") {
    sub(/[ =]+$/, "", where)
    stop(where " names no image", number, "write registry/repository:tag")
  }
  if (length(name) <= 512 && name ~ image_form) return
  shown = length(name) <= 80 ? name : substr(name, 1, 79) "…"
  stop(where shown " is no name of an image", number, "write registry/repository:tag")
}

function report(argument, image) {
  if (mode == "list" && !seen[argument, image]++) print argument, image
}

function pin(at, old, image) {
  if (image !~ /@/ && image in digest) {
    old_of[at] = old
    new_of[at] = image "@" digest[image]
  }
}

# Puts the pinned name into the instruction's own lines.
function replaced(lines, at,    from, before, after) {
  if (!(at in old_of)) return lines
  from = 1
  while (index(substr(lines, from), old_of[at])) {
    from += index(substr(lines, from), old_of[at]) - 1
    before = from == 1 ? " " : substr(lines, from - 1, 1)
    after = substr(lines, from + length(old_of[at]), 1)
    if (before ~ /[ \t\n="']/ && after ~ /[ \t\r\n"'\\`]/)
      return substr(lines, 1, from - 1) new_of[at] substr(lines, from + length(old_of[at]))
    from++
  }
  return lines
}

# ── the variables of a stage, and what it takes from the context ─────────────

function enter_stage(base,    i, name, key, parts) {
  for (name in local) {
    kept[stage - 1, name] = local[name]
    kept_unset[stage - 1, name] = local_unset[name]
  }
  for (name in outside) kept_outside[stage - 1, name] = 1
  split("", local)
  split("", local_unset)
  split("", outside)
  i = stage_before(base)
  whole[stage] = i ? whole[i] : base == "scratch"
  if (!i) return
  for (key in kept) {
    split(key, parts, SUBSEP)
    if (parts[1] == i) {
      local[parts[2]] = kept[key]
      local_unset[parts[2]] = kept_unset[key]
    }
  }
  for (key in kept_outside) {
    split(key, parts, SUBSEP)
    if (parts[1] == i) outside[parts[2]] = 1
  }
}

function variables(keyword, line,    words, count, i, name, value, names, values) {
  if (mode != "inputs" || (keyword != "ARG" && keyword != "ENV")) return
  count = quoted_words(line, words)
  if (keyword == "ENV" && index(words[1], "=") == 0) {
    words[1] = first(line) "=" rest(line)
    count = 1
  }
  for (i = 1; i <= count; i++) {
    name = words[i]
    sub(/=.*$/, "", name)
    if (index(words[i], "=") == 0) {
      if (name in global) {
        local[name] = global[name]
        local_unset[name] = global_unset[name]
      } else if (!(name in local)) {
        outside[name] = 1
      }
      continue
    }
    value = expand(substr(words[i], length(name) + 2), "local")
    names[i] = name
    values[i] = value "\n" unset
    if (error != "") {
      values[i] = ""
      error = ""
    }
    if (keyword == "ARG") set_local(name, values[i])
  }
  if (keyword == "ENV")
    for (i = 1; i <= count; i++) set_local(names[i], values[i])
}

function set_local(name, value,    parts) {
  if (value == "") {
    delete local[name]
    outside[name] = 1
    return
  }
  split(value, parts, "\n")
  local[name] = parts[1]
  local_unset[name] = parts[2]
}

function inputs(keyword, line,    words, count, i, parts, options, last) {
  if (keyword == "COPY" || keyword == "ADD") {
    count = line ~ /^\[/ ? json(line, words) : -1
    if (count < 0) count = blank_words(line, words)
    for (i = 1; i < count; i++) if (index(words[i], "<<") == 0) input(keyword, words[i])
  } else if (keyword == "RUN") {
    for (i = 1; i <= flags; i++) {
      if (flag_name[i] != "mount") continue
      split("", options)
      last = split(flag_value[i], parts, ",")
      for (; last > 0; last--)
        options[substr(parts[last], 1, index(parts[last] "=", "=") - 1)] = substr(parts[last], index(parts[last] "=", "=") + 1)
      if (("type" in options) && options["type"] != "bind") continue
      if (("from" in options) && options["from"] != "context") continue
      if ("source" in options) input(keyword, options["source"])
      else if ("src" in options) input(keyword, options["src"])
      else input(keyword, ".")
    }
  }
}

function input(keyword, word,    value, i, count, names) {
  value = expand(word, "local")
  if (error != "") stop(keyword " " word ": " error, number, "write it as docker reads it")
  count = split(unset, names, " ")
  for (i = 1; i <= count; i++)
    if (!whole[stage] || names[i] in outside)
      stop(keyword " " word " needs a value for " names[i], number, "write ARG " names[i] "=… before it, in this stage")
  if (value ~ /^([A-Za-z][A-Za-z0-9+.-]*:\/\/|git@)/) return
  sub(/^\/+/, "", value)
  print (value == "" ? "." : value)
}

# ── words ────────────────────────────────────────────────────────────────────

function trimmed(line) {
  sub(/^[ \t\v\f\r]+/, "", line)
  sub(/[ \t\v\f\r]+$/, "", line)
  return line
}

function first(line) {
  sub(/[ \t\v\f\r].*$/, "", line)
  return line
}

function rest(line) {
  if (!match(line, /[ \t\v\f\r]+/)) return ""
  return substr(line, RSTART + RLENGTH)
}

# The line without the options at its front, which are left in flag_name and flag_value.
function arguments(line,    at, size, char, word, quote) {
  flags = 0
  at = 1
  size = length(line)
  for (;;) {
    while (at <= size && substr(line, at, 1) ~ /[ \t\v\f\r]/) at++
    if (substr(line, at, 2) != "--") return trimmed(substr(line, at))
    word = quote = ""
    for (; at <= size; at++) {
      char = substr(line, at, 1)
      if (quote == "" && char ~ /[ \t\v\f\r]/) break
      if (char == escape) word = word substr(line, ++at, 1)
      else if (quote != "" && char == quote) quote = ""
      else if (quote == "" && (char == "\"" || char == "'")) quote = char
      else word = word char
    }
    if (word == "--") return trimmed(substr(line, at))
    flag_name[++flags] = substr(word, 3, index(word "=", "=") - 3)
    flag_value[flags] = substr(word, index(word "=", "=") + 1)
  }
}

# The value of an option, or a newline if it is not there.
function flag(name,    i) {
  for (i = 1; i <= flags; i++) if (flag_name[i] == name) return flag_value[i]
  return "\n"
}

function blank_words(line, words,    count) {
  split("", words)
  if (line == "") return 0
  count = split(line, words, /[ \t\v\f\r]+/)
  return count
}

# Splits at blanks outside quotes; quotes and escapes stay.
function quoted_words(line, words,    at, size, char, word, quote, count) {
  split("", words)
  size = length(line)
  for (at = 1; at <= size + 1; at++) {
    char = substr(line, at, 1)
    if (at > size || (quote == "" && char ~ /[ \t\v\f\r]/)) {
      if (word != "") words[++count] = word
      word = ""
    } else if (char == escape && quote != "'") {
      word = word char substr(line, ++at, 1)
    } else {
      if (quote != "" && char == quote) quote = ""
      else if (quote == "" && (char == "\"" || char == "'")) quote = char
      word = word char
    }
  }
  return count + 0
}

# As a shell splits; << takes the blanks behind it along.
function shell_words(line, words,    at, size, char, word, quote, count) {
  split("", words)
  size = length(line)
  for (at = 1; at <= size + 1; at++) {
    char = substr(line, at, 1)
    if (at > size || (quote == "" && char ~ /[ \t\v\f\r]/)) {
      if (word != "") words[++count] = word
      word = ""
    } else if (char == "\\" && quote != "'") {
      word = word char substr(line, ++at, 1)
    } else if (quote == "" && substr(line, at, 2) == "<<") {
      word = word "<<"
      at++
      while (substr(line, at + 1, 1) ~ /[ \t\r]/) word = word substr(line, ++at, 1)
    } else {
      if (quote != "" && char == quote) quote = ""
      else if (quote == "" && (char == "\"" || char == "'")) quote = char
      word = word char
    }
  }
  return count + 0
}

function unquoted(word,    at, size, char, quote, out) {
  size = length(word)
  for (at = 1; at <= size; at++) {
    char = substr(word, at, 1)
    if (char == "\\" && quote != "'") out = out substr(word, ++at, 1)
    else if (quote != "" && char == quote) quote = ""
    else if (quote == "" && (char == "\"" || char == "'")) quote = char
    else out = out char
  }
  return out
}

# The strings of a JSON array; -1 for anything else.
function json(line, words,    count, char, word) {
  split("", words)
  count = 0
  line = trimmed(substr(line, 2))
  if (line == "]") return 0
  for (;;) {
    if (substr(line, 1, 1) != "\"") return -1
    line = substr(line, 2)
    word = ""
    while ((char = substr(line, 1, 1)) != "\"") {
      if (char == "" || char ~ /[\001-\037]/) return -1
      if (char == "\\") {
        line = substr(line, 2)
        char = substr(line, 1, 1)
        if (char == "u" || char !~ /["\\\/bfnrt]/) return -1
        if (char ~ /[bfnrt]/) char = " "
      }
      word = word char
      line = substr(line, 2)
    }
    words[++count] = word
    line = trimmed(substr(line, 2))
    char = substr(line, 1, 1)
    line = trimmed(substr(line, 2))
    if (char == "]") return line == "" ? count : -1
    if (char != ",") return -1
  }
}

# ── variables ────────────────────────────────────────────────────────────────

# What a word stands for where the variables are those of the scope: global, local, or
# anything, which has a value for every name. Leaves in missing the names that left
# nothing behind, in unset all that had no value, in error why it cannot be told.
function expand(word, where,    out) {
  scope = where
  source = word
  place = 1
  depth = 0
  error = missing = unset = ""
  out = until("", 0)
  return error == "" ? out : ""
}

function until(stop_at, pattern,    out, char) {
  while (error == "" && place <= length(source)) {
    char = substr(source, place, 1)
    if (char == stop_at) {
      place++
      return out
    }
    if (char == "'") {
      out = out single_quoted(pattern)
    } else if (char == "\"") {
      out = out double_quoted(pattern)
    } else if (char == "$") {
      out = out dollar()
    } else if (char == escape) {
      out = out (pattern ? char : "") substr(source, place + 1, 1)
      place += 2
    } else {
      out = out char
      place++
    }
  }
  if (stop_at != "" && error == "") error = "${ has no }"
  return out
}

function single_quoted(pattern,    size, out, i, char) {
  size = index(substr(source, place + 1), "'")
  if (!size) {
    error = "a quote is not closed"
    return ""
  }
  for (i = place + 1; i < place + size; i++) {
    char = substr(source, i, 1)
    out = out (pattern && char == escape ? char : "") char
  }
  place += size + 1
  return out
}

function double_quoted(pattern,    out, char, following) {
  place++
  while (error == "" && place <= length(source)) {
    char = substr(source, place, 1)
    if (char == "\"") {
      place++
      return out
    }
    if (char == "$") {
      out = out dollar()
      continue
    }
    place++
    if (char == escape) {
      following = substr(source, place, 1)
      if (following == "") break
      if (pattern) out = out char
      if (following == "\"" || following == "$" || following == escape) {
        char = following
        place++
      }
    }
    out = out char
  }
  if (error == "") error = "a quote is not closed"
  return ""
}

function variable_name(    name) {
  if (!match(substr(source, place), /^([0-9]+|[@*#?$!-]|[A-Za-z_][A-Za-z0-9_]*)/)) return ""
  name = substr(source, place, RLENGTH)
  place += RLENGTH
  return name
}

function dollar(    name, char, out) {
  place++
  if (substr(source, place, 1) != "{") {
    name = variable_name()
    return name == "" ? "$" : put(name)
  }
  char = substr(source, ++place, 1)
  if (char == "") error = "${ has no }"
  else if (char ~ /[{}:]/) error = "bad substitution"
  else if (++depth > deepest) error = "more than " deepest " braces stand in each other"
  if (error != "") return ""
  out = braces(variable_name())
  depth--
  return out
}

function braces(name,    operator, colon, word, there, missing_before, unset_before) {
  operator = substr(source, place++, 1)
  if (operator == "}") return put(name)
  if (operator == "/") return substituted(name)
  if (operator == ":") {
    colon = 1
    operator = substr(source, place++, 1)
  }
  if (operator == "") error = "${ has no }"
  else if (operator !~ /[+?#%-]/ || (colon && operator ~ /[#%]/)) error = "bad substitution"
  if (error != "") return ""
  missing_before = missing
  unset_before = unset
  word = until("}", operator ~ /[#%]/)
  if (error != "") return ""
  there = is_set(name) && !(colon && value_of(name) == "")
  if ((operator == "+" && !there) || (operator == "-" && there)) {
    missing = missing_before
    unset = unset_before
  }
  if (!is_set(name)) unset = with(unset, name)
  if (operator == "?" && !there) {
    error = name ": " (word == "" ? "it has no value" : word)
    return ""
  }
  if (operator ~ /[#%]/) return cut(name, word, operator)
  if (operator == "+") return there ? word : ""
  return there ? put(name) : word
}

function is_set(name) {
  if (scope == "anything") return 1
  return scope == "global" ? name in global : name in local
}

function value_of(name) {
  if (scope == "anything") return "x"
  return scope == "global" ? global[name] : local[name]
}

function put(name,    names, count, i) {
  if (!is_set(name)) {
    missing = with(missing, name)
    unset = with(unset, name)
    return ""
  }
  if (scope != "anything") {
    count = split(scope == "global" ? global_missing[name] : "", names, " ")
    for (i = 1; i <= count; i++) missing = with(missing, names[i])
    count = split(scope == "global" ? global_unset[name] : local_unset[name], names, " ")
    for (i = 1; i <= count; i++) unset = with(unset, names[i])
  }
  spend(length(value_of(name)))
  return value_of(name)
}

function with(names, name) {
  return index(" " names " ", " " name " ") ? names : names (names == "" ? "" : " ") name
}

function spend(count) {
  spent += count
  if (spent > most && error == "")
    error = "the variables expand to more than " most " characters"
}

# The parts of a pattern: characters, and ** and ?? for those that stand for others.
function parts_of(pattern, parts,    count, i, char) {
  split("", parts)
  count = 0
  for (i = 1; i <= length(pattern); i++) {
    char = substr(pattern, i, 1)
    if (char == "*") {
      if (parts[count] != "**") parts[++count] = "**"
    } else if (char == "?") {
      parts[++count] = "??"
    } else if (char == "\\") {
      char = substr(pattern, ++i, 1)
      if (char == "" || char !~ /[*?\\}\/]/) {
        error = "bad substitution"
        return 0
      }
      parts[++count] = char
    } else {
      parts[++count] = char
    }
  }
  return count
}

# Leaves in shortest and longest how much of the beginning of a value the pattern
# fits, -1 if nothing.
function fit(value, parts, count,    states, next_states, length_, char, i, some) {
  shortest = longest = -1
  spend(length(value) * count)
  if (error != "") return
  states[1] = 1
  for (length_ = 0; length_ <= length(value); length_++) {
    for (i = 1; i <= count; i++) if (states[i] && parts[i] == "**") states[i + 1] = 1
    if (states[count + 1]) {
      if (shortest < 0) shortest = length_
      longest = length_
    }
    char = substr(value, length_ + 1, 1)
    split("", next_states)
    some = 0
    for (i = 1; i <= count; i++) {
      if (!states[i]) continue
      if (parts[i] == "**") next_states[i] = some = 1
      else if (parts[i] == "??" || parts[i] == char) next_states[i + 1] = some = 1
    }
    if (!some) return
    split("", states)
    for (i in next_states) states[i] = next_states[i]
  }
}

function reversed(value,    out, i) {
  for (i = length(value); i > 0; i--) out = out substr(value, i, 1)
  return out
}

function cut(name, pattern, operator,    value, greedy, parts, count, i, other, size) {
  value = put(name)
  greedy = substr(pattern, 1, 1) == operator
  count = parts_of(substr(pattern, 1 + greedy), parts)
  if (error != "") return ""
  if (operator == "%") {
    value = reversed(value)
    for (i = 1; i <= count / 2; i++) {
      other = parts[i]
      parts[i] = parts[count + 1 - i]
      parts[count + 1 - i] = other
    }
  }
  fit(value, parts, count)
  size = greedy ? longest : shortest
  if (size > 0) value = substr(value, size + 1)
  spend(length(value))
  return operator == "%" ? reversed(value) : value
}

function substituted(name,    every, pattern, replacement, value, parts, count, out, from) {
  every = substr(source, place, 1) == "/"
  place += every
  pattern = until("/", 1)
  replacement = until("}", 1)
  if (error == "" && (pattern ~ /^[*]*$/ || index(pattern replacement, escape) || index(replacement, "$")))
    error = "bad substitution"
  if (error != "") return ""
  value = put(name)
  count = parts_of(pattern, parts)
  from = 1
  while (error == "" && from <= length(value)) {
    fit(substr(value, from), parts, count)
    if (longest < 0) {
      out = out substr(value, from++, 1)
      continue
    }
    out = out replacement
    from += longest
    if (!every) break
  }
  out = out substr(value, from)
  spend(length(out))
  return out
}

# ── the end ──────────────────────────────────────────────────────────────────

function stop(message, number, remedy) {
  failed = 1
  print "error: " file ": " message " (line " number ")" (remedy == "" ? "" : "; " remedy) | "cat 1>&2"
  close("cat 1>&2")
  exit 1
}
