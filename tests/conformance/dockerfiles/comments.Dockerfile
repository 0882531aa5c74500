FROM docker.io/library/debian:trixie
# RUN never

RUN echo one \
    # a comment in the middle

    # and another, after a blank line
 && echo two # not a comment \
 && echo three

  # an indented comment
ENV A=1 \
# comment
  B=2

RUN echo '# neither is this'
