// What examples/http_server answers, by net/http, and replaced by cloudflare/tableflip as its own
// example for net/http does: SIGHUP upgrades, the old process calls Server.Shutdown.
package main

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"
)

const lineInterval = 10 * time.Millisecond

func hello(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "Hello from net/http.\n")
}

func milliseconds(r *http.Request) time.Duration {
	ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
	return time.Duration(ms) * time.Millisecond
}

func slow(w http.ResponseWriter, r *http.Request) {
	time.Sleep(milliseconds(r))
	io.WriteString(w, "slow\n")
}

func upload(w http.ResponseWriter, r *http.Request) {
	hash := fnv.New64a()
	size, err := io.Copy(hash, r.Body)
	if err != nil {
		return
	}
	fmt.Fprintf(w, "%d\n%016x\n", size, hash.Sum64())
}

func stream(w http.ResponseWriter, r *http.Request) {
	next := time.Now()
	for line := 0; line < int(milliseconds(r)/lineInterval); line++ {
		next = next.Add(lineInterval)
		time.Sleep(time.Until(next))
		fmt.Fprintf(w, "%08d\n", line)
		w.(http.Flusher).Flush()
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	connection, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+
		"Upgrade: echo\r\nX-Version: "+w.Header().Get("X-Version")+"\r\n\r\n")
	io.Copy(connection, buffered)
}

func handler(version string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", hello)
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/upload", upload)
	mux.HandleFunc("/stream", stream)
	mux.HandleFunc("/echo", echo)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", version)
		mux.ServeHTTP(w, r)
	})
}

func upgradeOnHangup(upgrader *tableflip.Upgrader) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	for range signals {
		if err := upgrader.Upgrade(); err != nil {
			log.Println("upgrade failed:", err)
		}
	}
}

func main() {
	listen := flag.String("listen", "", "IP:PORT")
	versionFile := flag.String("version_file", "", "what X-Version says")
	pidFile := flag.String("pid_file", "", "for tableflip")
	flag.Parse()
	version, err := os.ReadFile(*versionFile)
	if err != nil {
		log.Fatalln(err)
	}

	upgrader, err := tableflip.New(tableflip.Options{PIDFile: *pidFile})
	if err != nil {
		log.Fatalln(err)
	}
	defer upgrader.Stop()
	go upgradeOnHangup(upgrader)

	listener, err := upgrader.Listen("tcp", *listen)
	if err != nil {
		log.Fatalln("listen:", err)
	}
	server := http.Server{Handler: handler(strings.TrimSpace(string(version)))}
	go server.Serve(listener)
	if err := upgrader.Ready(); err != nil {
		log.Fatalln(err)
	}

	<-upgrader.Exit()
	time.AfterFunc(30*time.Second, func() { os.Exit(1) })
	server.Shutdown(context.Background())
}
