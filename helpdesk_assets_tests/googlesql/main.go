// Command googlesql stands between the tests and a local BigQuery, and lets GoogleSQL, the parser and
// analyser that BigQuery itself uses, judge each statement before the stand-in runs it.
//
// The stand-ins translate BigQuery's SQL for DuckDB and take much that BigQuery refuses. Here a
// statement meets the real grammar, the real functions and the types of the tables as they are at
// that moment; what is refused never reaches the stand-in, and is answered as BigQuery answers it.
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	"net/url"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on, of this machine")
	upstream := flag.String("upstream", "", "URL of the local BigQuery that runs the statements")
	flag.Parse()
	target, err := url.Parse(*upstream)
	if err != nil || target.Host == "" {
		log.Fatalf("-upstream %q is not the URL of a warehouse", *upstream)
	}
	analyser, err := newAnalyser()
	if err != nil {
		log.Fatalf("GoogleSQL does not start: %v", err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, newJudge(target, analyser)))
}
