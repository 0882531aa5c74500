FROM docker.io/library/debian:trixie
RUN <<EOF bash
FROM not-a-stage
USER root
# a comment of the script
EOF
COPY <<ONE <<"TWO" /target/
one

ONE
	two
TWO
RUN <<-END cat
indented
ENDING
	END

RUN cat <<< "here string" && echo $((1<<4))
RUN echo "<<EOF"
RUN ["cat", "<<EOF"]
USER 65532
