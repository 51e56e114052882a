package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// The project names a table in one pair of backticks, with its project and dataset.
var tableName = regexp.MustCompile("`([^`.]+)\\.([^`.]+)\\.([^`.]+)`")

// judge is the reverse proxy; whatever is not a query passes it unread.
type judge struct {
	upstream *url.URL
	proxy    *httputil.ReverseProxy
	analyser *analyser

	mutex    sync.Mutex
	verdicts verdicts
}

// verdicts is what GET /verdicts answers. Unjudged is what the stand-in ran although a table of it
// was not to be found: each of these is a hole in this proof.
type verdicts struct {
	Accepted int      `json:"accepted"`
	Refused  []string `json:"refused"`
	Unjudged []string `json:"unjudged"`
}

// job is a query as jobs.insert (below configuration.query) and jobs.query (on top) take it.
type job struct {
	Query         string      `json:"query"`
	Parameters    []parameter `json:"queryParameters"`
	UseLegacySQL  *bool       `json:"useLegacySql"`
	Configuration struct {
		Query *job `json:"query"`
	} `json:"configuration"`
}

func newJudge(upstream *url.URL, analyser *analyser) *judge {
	return &judge{
		upstream: upstream,
		proxy:    httputil.NewSingleHostReverseProxy(upstream),
		analyser: analyser,
	}
}

func (j *judge) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	if request.URL.Path == "/verdicts" {
		j.mutex.Lock()
		defer j.mutex.Unlock()
		_ = json.NewEncoder(answer).Encode(j.verdicts)
		return
	}
	query, err := queryOf(request)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	if query == nil {
		j.proxy.ServeHTTP(answer, request)
		return
	}
	tables, absent, err := j.tablesOf(query.Query)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadGateway)
		return
	}
	if absent {
		// A missing table is the stand-in's to tell: the tests know its answer.
		status := &statusKeeper{ResponseWriter: answer}
		j.proxy.ServeHTTP(status, request)
		if status.code < http.StatusBadRequest {
			j.note(func(v *verdicts) { v.Unjudged = append(v.Unjudged, query.Query) })
		}
		return
	}
	if err := j.analyser.analyse(query.Query, query.Parameters, tables); err != nil {
		log.Printf("refused: %v\n%s", err, query.Query)
		j.note(func(v *verdicts) { v.Refused = append(v.Refused, err.Error()+"\n"+query.Query) })
		refuse(answer, err.Error())
		return
	}
	j.note(func(v *verdicts) { v.Accepted++ })
	j.proxy.ServeHTTP(answer, request)
}

func (j *judge) note(change func(*verdicts)) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	change(&j.verdicts)
}

// queryOf is the query that a request carries, or nil; the request can be read again afterwards.
func queryOf(request *http.Request) (*job, error) {
	path := request.URL.Path
	isQuery := strings.HasSuffix(path, "/jobs") || strings.HasSuffix(path, "/queries")
	if request.Method != http.MethodPost || !isQuery || strings.HasPrefix(path, "/upload/") {
		return nil, nil
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	var asked job
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, fmt.Errorf("a job that is no JSON: %w", err)
	}
	if asked.Configuration.Query != nil {
		asked = *asked.Configuration.Query
	}
	if asked.Query == "" {
		return nil, nil
	}
	if asked.UseLegacySQL == nil || *asked.UseLegacySQL {
		return nil, fmt.Errorf("a query in legacy SQL: useLegacySql is not false")
	}
	return &asked, nil
}

// tablesOf are the tables that a statement names, as the stand-in has them now, by full name.
func (j *judge) tablesOf(statement string) (map[string]table, bool, error) {
	tables := map[string]table{}
	for _, found := range tableName.FindAllStringSubmatch(statement, -1) {
		path := fmt.Sprintf("/bigquery/v2/projects/%s/datasets/%s/tables/%s",
			url.PathEscape(found[1]), url.PathEscape(found[2]), url.PathEscape(found[3]))
		response, err := http.Get(j.upstream.Scheme + "://" + j.upstream.Host + path)
		if err != nil {
			return nil, false, err
		}
		var described table
		err = json.NewDecoder(response.Body).Decode(&described)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return nil, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		tables[strings.Trim(found[0], "`")] = described
	}
	return tables, false, nil
}

// refuse answers as BigQuery does where a statement is wrong.
func refuse(answer http.ResponseWriter, message string) {
	type reason map[string]any
	answer.Header().Set("Content-Type", "application/json")
	answer.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(answer).Encode(reason{"error": reason{
		"code":    http.StatusBadRequest,
		"message": message,
		"status":  "INVALID_ARGUMENT",
		"errors": []reason{{
			"message": message, "domain": "global", "reason": "invalidQuery", "location": "q",
		}},
	}})
}

type statusKeeper struct {
	http.ResponseWriter
	code int
}

func (k *statusKeeper) WriteHeader(code int) {
	k.code = code
	k.ResponseWriter.WriteHeader(code)
}
