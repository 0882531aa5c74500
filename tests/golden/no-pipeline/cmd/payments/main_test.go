package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The tests run the service as a process of its own: this test binary, which
// becomes the service when the variable is set.
const runService = "TEST_RUN_SERVICE"

func TestMain(m *testing.M) {
	if os.Getenv(runService) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(env, runService+"=1")
	return cmd
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

func TestVersion(t *testing.T) {
	out, err := command(t, nil, "version").Output()
	if err != nil || string(out) != "payments dev\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestWrongConfiguration(t *testing.T) {
	var stdout, stderr bytes.Buffer
	cmd := command(t, []string{"PORT=http"})
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	code := exitCode(t, cmd.Run())
	want := "configuration error: PORT: got \"http\", want an integer from 1 to 65535\n"
	if code != 2 || stdout.Len() > 0 || stderr.String() != want {
		t.Errorf("got %d %q %q, want 2 and %q", code, &stdout, &stderr, want)
	}
}

type logLine struct {
	Msg, Service, Version, Address, Signal, Path string
	Status                                       int
}

// process is a running service and its log.
type process struct {
	cmd    *exec.Cmd
	log    *json.Decoder
	stderr bytes.Buffer
	addr   string
	env    []string
}

func start(t *testing.T, env ...string) *process {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &process{env: append(env, "HOST=127.0.0.1", "PORT="+port)}
	p.cmd = command(t, p.env)
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.log = json.NewDecoder(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.addr = p.expect(t, "listening").Address
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// expect reads the log up to the line with the message msg.
func (p *process) expect(t *testing.T, msg string) logLine {
	t.Helper()
	for {
		var line logLine
		if err := p.log.Decode(&line); err != nil {
			t.Fatalf("waiting for the log line %q: %v; stderr: %s", msg, err, &p.stderr)
		}
		if line.Service != "payments" || line.Version != "dev" {
			t.Errorf("log line: got %+v", line)
		}
		if line.Msg == msg {
			return line
		}
	}
}

// wait reads the log to its end and returns its last message and the exit code.
func (p *process) wait(t *testing.T) (last string, code int) {
	t.Helper()
	for {
		var line logLine
		err := p.log.Decode(&line)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		last = line.Msg
	}
	code = exitCode(t, p.cmd.Wait())
	if p.stderr.Len() > 0 {
		t.Errorf("stderr: %s", &p.stderr)
	}
	return last, code
}

// begin sends a request without the end of its body and waits until the service
// asks for that.
func (p *process) begin(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp4", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, "POST /v1/greetings HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"+
		"Content-Type: application/json\r\nContent-Length: 14\r\n\r\n")
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("got %q, %v; want 100 Continue", line, err)
	}
	r.ReadString('\n') // the blank line
	return conn, r
}

func TestServeAndDrain(t *testing.T) {
	p := start(t, "DRAIN_DELAY_SECONDS=0")

	if out, err := command(t, p.env, "healthcheck").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("healthcheck: got %q, %v", out, err)
	}
	resp, err := http.Get("http://" + p.addr + "/no/such/path?x=1")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if line := p.expect(t, "request"); line.Path != "/no/such/path" || line.Status != 404 {
		t.Errorf("request: got %+v", line)
	}

	conn, r := p.begin(t)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if line := p.expect(t, "draining"); line.Signal != "SIGTERM" {
		t.Errorf("draining: got %+v", line)
	}
	io.WriteString(conn, `{"name":"Ada"}`)
	resp, err = http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != `{"message":"Hello, Ada!"}` || !resp.Close {
		t.Errorf("in flight: got %s %q, close %t, %v", resp.Status, body, resp.Close, err)
	}

	if last, code := p.wait(t); last != "stopped" || code != 0 {
		t.Errorf("got %q and exit code %d, want stopped and 0", last, code)
	}
	out, err := command(t, p.env, "healthcheck").CombinedOutput()
	if code := exitCode(t, err); code != 1 || !strings.HasPrefix(string(out), "healthcheck: http://"+p.addr+"/livez: ") {
		t.Errorf("healthcheck of a stopped service: got %d %q", code, out)
	}
}

func TestSecondSignal(t *testing.T) {
	p := start(t, "DRAIN_DELAY_SECONDS=20")
	p.cmd.Process.Signal(syscall.SIGINT)
	if line := p.expect(t, "draining"); line.Signal != "SIGINT" {
		t.Errorf("draining: got %+v", line)
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	if last, code := p.wait(t); last != "" || code != 1 {
		t.Errorf("got %q and exit code %d, want no line and 1", last, code)
	}
}
