package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// The largest whole number that a load job takes into INT64 from a number in JSON; from a text it takes
// all of them.
var plainInteger = regexp.MustCompile(`^-?[0-9]{1,16}$`)

const largestPlain = 1<<53 - 1

// uploads judges rows of load jobs. Whether BigQuery reads a JSON column of a load job by the strict
// rule on numbers is not documented, so no number may be sent that the rule refuses.
type uploads struct {
	mutex sync.Mutex
	// By the address of an upload, the line that its last part broke off.
	rest map[string][]byte
}

// judge reads a part of an upload, if the request is one; rows may be broken between parts.
func (u *uploads) judge(request *http.Request, analyser *analyser) error {
	if request.Method != http.MethodPut || !strings.HasPrefix(request.URL.Path, "/upload/") {
		return nil
	}
	body, err := bodyOf(request)
	if err != nil {
		return err
	}
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if u.rest == nil {
		u.rest = map[string][]byte{}
	}
	key := request.URL.String()
	body = append(u.rest[key], body...)
	delete(u.rest, key)
	if strings.HasSuffix(request.Header.Get("Content-Range"), "/*") {
		end := bytes.LastIndexByte(body, '\n') + 1
		u.rest[key] = bytes.Clone(body[end:])
		body = body[:end]
	}
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	for _, line := range lines {
		if err := judgeIntegers(line); err != nil {
			return err
		}
	}
	return analyser.json("["+string(bytes.Join(lines, []byte(",")))+"]", false)
}

// judgeIntegers refuses a whole number beyond 53 bits as a column's value.
func judgeIntegers(line []byte) error {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(line, &row); err != nil {
		return fmt.Errorf("JSON parsing error in row: %w", err)
	}
	for name, value := range row {
		if !plainInteger.Match(value) {
			if bytes.ContainsAny(value[:1], "-0123456789") && !bytes.ContainsAny(value, ".eE") {
				return fmt.Errorf("%s: %s may be read as another number, send it as text", name, value)
			}
			continue
		}
		var number int64
		_ = json.Unmarshal(value, &number)
		if number > largestPlain || number < -largestPlain {
			return fmt.Errorf("%s: %d may be read as another number, send it as text", name, number)
		}
	}
	return nil
}
