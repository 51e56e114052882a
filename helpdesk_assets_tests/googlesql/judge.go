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
var tableName = regexp.MustCompile("`([a-z0-9:-]+)\\.([A-Za-z0-9_]+)\\.([A-Za-z0-9_-]+)`")

// What a statement makes is not there before it.
var made = regexp.MustCompile("(?is)^\\s*CREATE\\s+(OR\\s+REPLACE\\s+)?(TABLE|VIEW)\\s+(IF\\s+NOT\\s+EXISTS\\s+)?`[^`]+`")

// judge is the reverse proxy; whatever is neither a query nor a view to make passes it unread.
type judge struct {
	upstream *url.URL
	proxy    *httputil.ReverseProxy
	analyser *analyser

	mutex    sync.Mutex
	accepted int
	refused  []string
	passed   []query
	// By the path of a view its query: one stand-in tells neither that nor the columns.
	views   map[string]string
	uploads uploads
}

// verdicts is what GET /verdicts answers. Unjudged is what the stand-in ran although a table of it
// was not to be found: each of these is a hole in this proof.
type verdicts struct {
	Accepted int      `json:"accepted"`
	Refused  []string `json:"refused"`
	Unjudged []string `json:"unjudged"`
}

// job is a job as jobs.insert takes it, or jobs.query, which has the query on top.
type job struct {
	query
	Configuration struct {
		Query *query `json:"query"`
	} `json:"configuration"`
	Reference struct {
		ID      string `json:"jobId"`
		Project string `json:"projectId"`
	} `json:"jobReference"`
}

type query struct {
	SQL          string      `json:"query"`
	Parameters   []parameter `json:"queryParameters"`
	UseLegacySQL *bool       `json:"useLegacySql"`
	path         string
	size         int
}

func newJudge(upstream *url.URL, analyser *analyser) *judge {
	return &judge{
		upstream: upstream,
		proxy:    httputil.NewSingleHostReverseProxy(upstream),
		analyser: analyser,
		views:    map[string]string{},
	}
}

func (j *judge) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	if request.URL.Path == "/verdicts" {
		_ = json.NewEncoder(answer).Encode(j.verdicts())
		return
	}
	asked, err := queryOf(request)
	if err == nil && asked == nil {
		err = j.rememberView(request)
	}
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	if asked == nil {
		if err := j.uploads.judge(request, j.analyser); err != nil {
			j.refuse(answer, err, request.URL.Path)
			return
		}
		j.proxy.ServeHTTP(answer, request)
		return
	}
	if err := j.analyser.values(*asked); err != nil {
		j.refuse(answer, err, asked.SQL)
		return
	}
	tables, absent, err := j.tablesOf(asked.SQL)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadGateway)
		return
	}
	if absent {
		// A missing table is the stand-in's to tell: the tests know its answer.
		j.note(func() { j.passed = append(j.passed, *asked) })
		j.proxy.ServeHTTP(answer, request)
		return
	}
	if err := j.analyser.analyse(asked.SQL, asked.Parameters, tables); err != nil {
		j.refuse(answer, err, asked.SQL)
		return
	}
	j.note(func() { j.accepted++ })
	j.proxy.ServeHTTP(answer, request)
}

func (j *judge) refuse(answer http.ResponseWriter, err error, asked string) {
	log.Printf("refused: %v\n%s", err, asked)
	j.note(func() { j.refused = append(j.refused, err.Error()+"\n"+asked) })
	refuse(answer, err.Error())
}

func (j *judge) note(change func()) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	change()
}

func (j *judge) verdicts() verdicts {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	found := verdicts{Accepted: j.accepted, Refused: j.refused}
	for _, each := range j.passed {
		if !j.failed(each) {
			found.Unjudged = append(found.Unjudged, each.SQL)
		}
	}
	return found
}

// failed says whether a job was refused by the stand-in: one whose dataset is gone by now counts so,
// too, where the stand-in forgets its jobs.
func (j *judge) failed(asked query) bool {
	var told struct {
		Status struct {
			Error *struct{} `json:"errorResult"`
		} `json:"status"`
	}
	found, err := j.get(asked.path, &told)
	return err == nil && (!found || told.Status.Error != nil)
}

// get reads one resource of the stand-in; false where there is none.
func (j *judge) get(path string, into any) (bool, error) {
	response, err := http.Get(j.upstream.Scheme + "://" + j.upstream.Host + path)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return false, nil
	}
	return true, json.NewDecoder(response.Body).Decode(into)
}

// queryOf is the query that a request carries, or nil.
func queryOf(request *http.Request) (*query, error) {
	path := request.URL.Path
	isQuery := strings.HasSuffix(path, "/jobs") || strings.HasSuffix(path, "/queries")
	if request.Method != http.MethodPost || !isQuery || strings.HasPrefix(path, "/upload/") {
		return nil, nil
	}
	body, err := bodyOf(request)
	if err != nil {
		return nil, err
	}
	var told job
	if err := json.Unmarshal(body, &told); err != nil {
		return nil, fmt.Errorf("a job that is no JSON: %w", err)
	}
	asked := &told.query
	if told.Configuration.Query != nil {
		asked = told.Configuration.Query
	}
	if asked.SQL == "" {
		return nil, nil
	}
	if asked.UseLegacySQL == nil || *asked.UseLegacySQL {
		return nil, fmt.Errorf("a query in legacy SQL: useLegacySql is not false")
	}
	asked.size = len(body)
	asked.path = strings.TrimSuffix(path, "/queries") + "/" + url.PathEscape(told.Reference.ID)
	return asked, nil
}

// rememberView keeps the query of a view that a request makes.
func (j *judge) rememberView(request *http.Request) error {
	if request.Method != http.MethodPost || !strings.HasSuffix(request.URL.Path, "/tables") {
		return nil
	}
	body, err := bodyOf(request)
	if err != nil {
		return err
	}
	var told struct {
		table
		Reference struct {
			ID string `json:"tableId"`
		} `json:"tableReference"`
	}
	if err := json.Unmarshal(body, &told); err != nil {
		return fmt.Errorf("a table that is no JSON: %w", err)
	}
	path := request.URL.Path + "/" + url.PathEscape(told.Reference.ID)
	j.note(func() { j.views[path] = told.View.Query })
	return nil
}

// bodyOf reads a request, which can be read again afterwards.
func bodyOf(request *http.Request) ([]byte, error) {
	body, err := io.ReadAll(request.Body)
	request.Body = io.NopCloser(bytes.NewReader(body))
	return body, err
}

// tablesOf are the tables that a statement names, as the stand-in has them now, by full name, and
// those that are behind a view; absent is true where one is not there.
func (j *judge) tablesOf(statement string) (tables map[string]table, absent bool, err error) {
	tables = map[string]table{}
	for unread := []string{made.ReplaceAllString(statement, "")}; len(unread) > 0; unread = unread[1:] {
		for _, found := range tableName.FindAllStringSubmatch(unread[0], -1) {
			name := strings.Trim(found[0], "`")
			if _, known := tables[name]; known {
				continue
			}
			path := fmt.Sprintf("/bigquery/v2/projects/%s/datasets/%s/tables/%s",
				url.PathEscape(found[1]), url.PathEscape(found[2]), url.PathEscape(found[3]))
			var described table
			present, err := j.get(path, &described)
			if err != nil || !present {
				return nil, !present, err
			}
			if described.View.Query == "" {
				j.note(func() { described.View.Query = j.views[path] })
			}
			tables[name] = described
			if described.isBare() {
				unread = append(unread, described.View.Query)
			}
		}
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
