package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// BigQuery's limits of a query.
const (
	maxRequest    = 10_000_000
	maxStatement  = 1 << 20
	maxParameters = 10_000
	maxNesting    = 500
)

var (
	// parsed finds each parameter that a statement parses as JSON, and how.
	parsed = regexp.MustCompile(
		`(?i)(SAFE\.)?\bPARSE_JSON\(\s*@(\w+)\s*(?:,\s*wide_number_mode\s*=>\s*'(\w+)'\s*)?\)`)
	// rows finds the name that a statement gives the elements of such a parameter.
	rows = regexp.MustCompile(`(?i)UNNEST\(JSON_QUERY_ARRAY\(PARSE_JSON\(@(\w+)[^)]*\)\)\) AS (\w+)`)
	cast = regexp.MustCompile(`(?i)CAST\(JSON_VALUE\((\w+), '\$\.([^']+)'\) AS (\w+)\)`)
)

// values is nil where BigQuery would take the size of a query and the values of its parameters.
func (a *analyser) values(asked query) error {
	switch {
	case asked.size > maxRequest:
		return fmt.Errorf("Request payload size exceeds the limit: %d bytes", maxRequest)
	case len(asked.SQL) > maxStatement:
		return fmt.Errorf("The query is too large: %d bytes of text", len(asked.SQL))
	case len(asked.Parameters) > maxParameters:
		return fmt.Errorf("Too many query parameters: %d", len(asked.Parameters))
	}
	texts := map[string]string{}
	for _, each := range asked.Parameters {
		if err := a.value(each.Type, each.Value); err != nil {
			return fmt.Errorf("Invalid value for parameter @%s: %w", each.Name, err)
		}
		if each.Value.Value != nil {
			texts[each.Name] = string(*each.Value.Value)
		}
	}
	for _, found := range parsed.FindAllStringSubmatch(asked.SQL, -1) {
		text, given := texts[found[2]]
		if found[1] != "" || !given {
			continue // SAFE. makes NULL of an error, and NULL is taken
		}
		if err := a.json(text, strings.EqualFold(found[3], "round")); err != nil {
			return fmt.Errorf("%w; error in PARSE_JSON expression", err)
		}
	}
	return a.casts(asked.SQL, texts)
}

// value judges one value of a parameter by its type.
func (a *analyser) value(of parameterType, value parameterValue) error {
	for _, each := range value.Array {
		if err := a.value(*of.Array, each); err != nil {
			return err
		}
	}
	for _, each := range of.Struct {
		if err := a.value(each.Type, value.Struct[each.Name]); err != nil {
			return err
		}
	}
	if value.Value == nil {
		return nil
	}
	return a.scalar(of.Type, string(*value.Value))
}

// scalar is nil for a text that is a value of the type.
func (a *analyser) scalar(kind, text string) error {
	var err error
	switch kind = strings.ToUpper(kind); kind {
	case "INT64", "INTEGER":
		_, err = strconv.ParseInt(text, 10, 64)
	case "FLOAT64", "FLOAT":
		_, err = strconv.ParseFloat(text, 64)
	case "BOOL", "BOOLEAN":
		_, err = strconv.ParseBool(text)
	case "TIMESTAMP", "DATE", "DATETIME", "TIME", "NUMERIC", "BIGNUMERIC", "JSON":
		err = a.literal(kind, text, a.language)
	}
	if err != nil {
		return fmt.Errorf("%.60q is no %s: %w", text, kind, err)
	}
	return nil
}

// json judges a text that PARSE_JSON reads.
func (a *analyser) json(text string, round bool) error {
	if depth := nesting(text); depth > maxNesting {
		return fmt.Errorf("Max nesting of JSON has been exceeded: %d levels", depth)
	}
	language := a.language
	if round {
		language = a.rounding
	}
	return a.literal("JSON", text, language)
}

// casts judges what a statement casts from the rows of a parameter.
func (a *analyser) casts(statement string, texts map[string]string) error {
	for _, found := range rows.FindAllStringSubmatch(statement, -1) {
		var elements []map[string]any
		decoder := json.NewDecoder(strings.NewReader(texts[found[1]]))
		decoder.UseNumber()
		if decoder.Decode(&elements) != nil {
			continue // no array of objects: nothing is cast from it
		}
		for _, column := range cast.FindAllStringSubmatch(statement, -1) {
			if column[1] != found[2] {
				continue
			}
			for number, row := range elements {
				if err := a.cast(column[3], row[column[2]]); err != nil {
					return fmt.Errorf("row %d, %s: %w", number+1, column[2], err)
				}
			}
		}
	}
	return nil
}

func (a *analyser) cast(kind string, value any) error {
	switch value := value.(type) {
	case nil, bool:
		return nil
	case json.Number:
		return a.scalar(kind, value.String())
	case string:
		return a.scalar(kind, value)
	}
	return nil // JSON_VALUE makes NULL of objects and arrays
}

// nesting is the number of levels of a JSON text.
func nesting(text string) int {
	deepest, depth, inString := 0, 0, false
	for index := 0; index < len(text); index++ {
		switch character := text[index]; {
		case inString && character == '\\':
			index++
		case character == '"':
			inString = !inString
		case inString:
		case character == '[' || character == '{':
			depth++
			deepest = max(deepest, depth)
		case character == ']' || character == '}':
			depth--
		}
	}
	return deepest
}
