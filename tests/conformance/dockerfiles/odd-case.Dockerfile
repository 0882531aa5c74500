  aRg   Base=docker.io/library/golang:1.26
	from	${Base}   as   Builder
From scratch AS release
user	65532
EntryPoint   [ "/app/x",	"a b" ]   
copy   --from=builder   --chown=0:0  /a   /b
from release
