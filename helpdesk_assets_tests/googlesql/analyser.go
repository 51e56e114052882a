package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"

	sql "github.com/goccy/go-googlesql"
)

// Each analysis leaves objects that only the garbage collector frees, within the engine too.
const analysesPerCollection = 50

// What BigQuery has switched on in GoogleSQL, of that what a table of tickets can need. The rest stays
// off, so that a statement which needs more is refused here and has to be looked at.
var features = []sql.LanguageFeature{
	sql.LanguageFeatureFeatureAdditionalStringFunctions,
	sql.LanguageFeatureFeatureAllowDashesInTableName,
	sql.LanguageFeatureFeatureAllowMissingPathExpressionInAlterDdl,
	sql.LanguageFeatureFeatureAlterColumnSetDataType,
	sql.LanguageFeatureFeatureAnalyticFunctions,
	sql.LanguageFeatureFeatureBignumericType,
	sql.LanguageFeatureFeatureCivilTime,
	sql.LanguageFeatureFeatureConcatMixedTypes,
	sql.LanguageFeatureFeatureCreateTableAsSelectColumnList,
	sql.LanguageFeatureFeatureCreateTableClusterBy,
	sql.LanguageFeatureFeatureCreateTableNotNull,
	sql.LanguageFeatureFeatureCreateTablePartitionBy,
	sql.LanguageFeatureFeatureCreateViewWithColumnList,
	sql.LanguageFeatureFeatureDateArithmetics,
	sql.LanguageFeatureFeatureDateTimeConstructors,
	sql.LanguageFeatureFeatureDmlUpdateWithJoin,
	sql.LanguageFeatureFeatureExtendedDateTimeSignatures,
	sql.LanguageFeatureFeatureFormatInCast,
	sql.LanguageFeatureFeatureHavingInAggregate,
	sql.LanguageFeatureFeatureIntervalType,
	sql.LanguageFeatureFeatureIsDistinct,
	sql.LanguageFeatureFeatureJsonArrayFunctions,
	sql.LanguageFeatureFeatureJsonType,
	sql.LanguageFeatureFeatureJsonValueExtractionFunctions,
	sql.LanguageFeatureFeatureLimitInAggregate,
	sql.LanguageFeatureFeatureNamedArguments,
	sql.LanguageFeatureFeatureNullHandlingModifierInAggregate,
	sql.LanguageFeatureFeatureNullHandlingModifierInAnalytic,
	sql.LanguageFeatureFeatureNullsFirstLastInOrderBy,
	sql.LanguageFeatureFeatureNumericType,
	sql.LanguageFeatureFeatureOmitInsertColumnList,
	sql.LanguageFeatureFeatureOrderByInAggregate,
	sql.LanguageFeatureFeatureParameterizedTypes,
	sql.LanguageFeatureFeatureQualify,
	sql.LanguageFeatureFeatureSafeFunctionCall,
	sql.LanguageFeatureFeatureSelectStarExceptReplace,
	sql.LanguageFeatureFeatureWithOnSubquery,
	sql.LanguageFeatureFeatureWithRecursive,
}

// What BigQuery refuses and GoogleSQL alone would take: numbers in JSON that it prints otherwise than
// they are written, and types and forms that it does not have.
var rules = []sql.LanguageFeature{
	sql.LanguageFeatureFeatureDisableArrayMinAndMax,
	sql.LanguageFeatureFeatureDisableArraySumAndAvg,
	sql.LanguageFeatureFeatureDisableFloat32,
	sql.LanguageFeatureFeatureDisableOuterJoinArray,
	sql.LanguageFeatureFeatureStrictFunctionDefaultArgTypeCoercion,
	strictNumbers,
}

// Off only where a statement asks for wide_number_mode => 'round'.
const strictNumbers = sql.LanguageFeatureFeatureJsonStrictNumberParsing

// One statement a job: no scripts, no transactions.
var statements = []sql.ResolvedNodeKind{
	sql.ResolvedNodeKindResolvedAlterTableStmt,
	sql.ResolvedNodeKindResolvedCreateTableAsSelectStmt,
	sql.ResolvedNodeKindResolvedCreateTableStmt,
	sql.ResolvedNodeKindResolvedCreateViewStmt,
	sql.ResolvedNodeKindResolvedDeleteStmt,
	sql.ResolvedNodeKindResolvedDropStmt,
	sql.ResolvedNodeKindResolvedInsertStmt,
	sql.ResolvedNodeKindResolvedMergeStmt,
	sql.ResolvedNodeKindResolvedQueryStmt,
	sql.ResolvedNodeKindResolvedTruncateStmt,
	sql.ResolvedNodeKindResolvedUpdateStmt,
}

var kinds = map[string]sql.TypeKind{
	"STRING": sql.TypeKindTypeString, "BYTES": sql.TypeKindTypeBytes,
	"INTEGER": sql.TypeKindTypeInt64, "INT64": sql.TypeKindTypeInt64,
	"FLOAT": sql.TypeKindTypeDouble, "FLOAT64": sql.TypeKindTypeDouble,
	"BOOLEAN": sql.TypeKindTypeBool, "BOOL": sql.TypeKindTypeBool,
	"TIMESTAMP": sql.TypeKindTypeTimestamp, "DATE": sql.TypeKindTypeDate,
	"DATETIME": sql.TypeKindTypeDatetime, "TIME": sql.TypeKindTypeTime,
	"NUMERIC": sql.TypeKindTypeNumeric, "BIGNUMERIC": sql.TypeKindTypeBignumeric,
	"JSON": sql.TypeKindTypeJson,
}

// table and field are a table's schema as tables.get answers it.
type table struct {
	Schema struct {
		Fields []field `json:"fields"`
	} `json:"schema"`
	View struct {
		Query string `json:"query"`
	} `json:"view"`
}

// isBare says of a view that the stand-in gives it no columns, as one of them does.
func (t table) isBare() bool { return len(t.Schema.Fields) == 0 && t.View.Query != "" }

type field struct {
	Name   string  `json:"name"`
	Type   string  `json:"type"`
	Mode   string  `json:"mode"`
	Fields []field `json:"fields"`
}

// parameter is a query parameter as jobs.insert takes it.
type parameter struct {
	Name  string         `json:"name"`
	Type  parameterType  `json:"parameterType"`
	Value parameterValue `json:"parameterValue"`
}

type parameterValue struct {
	Value  *scalarText               `json:"value"`
	Array  []parameterValue          `json:"arrayValues"`
	Struct map[string]parameterValue `json:"structValues"`
}

// scalarText is a value as text. google's client sends a FLOAT64 as a number and a BOOL as text.
type scalarText string

// UnmarshalJSON takes a JSON string, number or boolean.
func (t *scalarText) UnmarshalJSON(raw []byte) error {
	if len(raw) == 0 || raw[0] != '"' {
		*t = scalarText(raw)
		return nil
	}
	var text string
	err := json.Unmarshal(raw, &text)
	*t = scalarText(text)
	return err
}

type parameterType struct {
	Type   string         `json:"type"`
	Array  *parameterType `json:"arrayType"`
	Struct []struct {
		Name string        `json:"name"`
		Type parameterType `json:"type"`
	} `json:"structTypes"`
}

// analyser holds what is the same for all statements. The engine is one memory without locks.
type analyser struct {
	mutex    sync.Mutex
	language *sql.LanguageOptions
	// rounding is language without the rule on numbers in JSON.
	rounding *sql.LanguageOptions
	builtins *sql.SimpleCatalog
	types    *sql.TypeFactory
	analyses int
}

func newAnalyser() (*analyser, error) {
	if err := sql.Init(); err != nil {
		return nil, err
	}
	language, err := bigQuery()
	if err != nil {
		return nil, err
	}
	rounding, err := bigQuery()
	if err != nil {
		return nil, err
	}
	if err := rounding.DisableLanguageFeature(strictNumbers); err != nil {
		return nil, err
	}
	types, err := sql.NewTypeFactory()
	if err != nil {
		return nil, err
	}
	builtins, err := sql.NewSimpleCatalog("builtins", types)
	if err != nil {
		return nil, err
	}
	functions := &sql.BuiltinFunctionOptions{LanguageOptions: language}
	if err := builtins.AddBuiltinFunctionsAndTypes(functions); err != nil {
		return nil, err
	}
	return &analyser{
		language: language, rounding: rounding, builtins: builtins, types: types,
	}, nil
}

func bigQuery() (*sql.LanguageOptions, error) {
	language, err := sql.NewLanguageOptions()
	if err != nil {
		return nil, err
	}
	// External: INT64 and FLOAT64, not the types that only Google's own products have.
	steps := []error{
		language.SetProductMode(sql.ProductModeProductExternal),
		language.SetNameResolutionMode(sql.NameResolutionModeNameResolutionDefault),
		language.DisableAllLanguageFeatures(),
		language.SetSupportedStatementKinds(statements),
		language.EnableReservableKeyword("QUALIFY", true),
	}
	for _, feature := range append(features, rules...) {
		steps = append(steps, language.EnableLanguageFeature(feature))
	}
	for _, err := range steps {
		if err != nil {
			return nil, err
		}
	}
	return language, nil
}

// analyse is nil for a statement that GoogleSQL takes, and says what is wrong with any other.
func (a *analyser) analyse(statement string, parameters []parameter, tables map[string]table) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.count()
	options, err := a.options(a.language, parameters)
	if err != nil {
		return err
	}
	catalog, err := a.catalog(tables)
	if err != nil {
		return err
	}
	_, err = sql.AnalyzeStatement(statement, options, catalog, a.types)
	return err
}

func (a *analyser) count() {
	a.analyses++
	if a.analyses%analysesPerCollection == 0 {
		runtime.GC()
	}
}

// literal is nil for a literal that GoogleSQL takes, such as TIMESTAMP "..."; as such a literal a value
// is read by the very code that reads it in a function.
func (a *analyser) literal(kind, value string, language *sql.LanguageOptions) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.count()
	options, err := a.options(language, nil)
	if err != nil {
		return err
	}
	_, err = sql.AnalyzeStatement("SELECT "+kind+" "+quoted(value), options, a.builtins, a.types)
	return err
}

var escapes = strings.NewReplacer("\\", "\\\\", "\"", "\\\"", "\n", "\\n", "\r", "\\r")

func quoted(value string) string { return `"` + escapes.Replace(value) + `"` }

func (a *analyser) options(
	language *sql.LanguageOptions, parameters []parameter,
) (*sql.AnalyzerOptions, error) {
	options, err := sql.NewAnalyzerOptions(language)
	if err != nil {
		return nil, err
	}
	if err := options.SetErrorMessageMode(sql.ErrorMessageModeErrorMessageOneLine); err != nil {
		return nil, err
	}
	for _, each := range parameters {
		found, err := a.parameterType(each.Type)
		if err != nil {
			return nil, fmt.Errorf("parameter @%s: %w", each.Name, err)
		}
		if err := options.AddQueryParameter(each.Name, found); err != nil {
			return nil, err
		}
	}
	return options, nil
}

// catalog is made anew for each statement: between two of them a table may have got a column.
func (a *analyser) catalog(tables map[string]table) (sql.CatalogNode, error) {
	named, err := sql.NewSimpleCatalog("tables", a.types)
	if err != nil {
		return nil, err
	}
	catalog, err := sql.NewMultiCatalogCreate("warehouse", []sql.CatalogNode{named, a.builtins})
	if err != nil {
		return nil, err
	}
	// Views last, for their columns follow from the tables.
	for _, bare := range []bool{false, true} {
		for name, described := range tables {
			if described.isBare() != bare {
				continue
			}
			if err := a.addTable(named, name, described, catalog); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return catalog, nil
}

func (a *analyser) addTable(
	to *sql.SimpleCatalog, name string, described table, known sql.CatalogNode,
) error {
	found, err := sql.NewSimpleTable(name, 0)
	if err != nil {
		return err
	}
	columns, err := a.columns(described, known)
	if err != nil {
		return err
	}
	for _, each := range columns {
		column, err := sql.NewSimpleColumn(name, each.Name, each.Type_, false, true)
		if err != nil {
			return err
		}
		if err := found.AddColumn2(column, false); err != nil {
			return err
		}
	}
	return to.AddTable2(name, found)
}

func (a *analyser) columns(described table, known sql.CatalogNode) ([]sql.StructField, error) {
	if described.isBare() {
		return a.outputOf(described.View.Query, known)
	}
	var columns []sql.StructField
	for _, each := range described.Schema.Fields {
		found, err := a.fieldType(each)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", each.Name, err)
		}
		columns = append(columns, sql.StructField{Name: each.Name, Type_: found})
	}
	return columns, nil
}

// outputOf are the columns that a query answers.
func (a *analyser) outputOf(query string, known sql.CatalogNode) ([]sql.StructField, error) {
	options, err := a.options(a.language, nil)
	if err != nil {
		return nil, err
	}
	analysed, err := sql.AnalyzeStatement(query, options, known, a.types)
	if err != nil {
		return nil, err
	}
	statement, err := analysed.ResolvedStatement()
	if err != nil {
		return nil, err
	}
	selected, isQuery := statement.(*sql.ResolvedQueryStmt)
	if !isQuery {
		return nil, fmt.Errorf("a view that is a %T", statement)
	}
	outputs, err := selected.OutputColumnList()
	if err != nil {
		return nil, err
	}
	var columns []sql.StructField
	for _, each := range outputs {
		name, err := each.Name()
		if err != nil {
			return nil, err
		}
		column, err := each.Column()
		if err != nil {
			return nil, err
		}
		found, err := column.Type()
		if err != nil {
			return nil, err
		}
		columns = append(columns, sql.StructField{Name: name, Type_: found})
	}
	return columns, nil
}

func (a *analyser) fieldType(described field) (sql.Googlesql_TypeNode, error) {
	found, err := a.simpleType(described.Type)
	if described.Type == "RECORD" || described.Type == "STRUCT" {
		var parts []*sql.StructField
		for _, each := range described.Fields {
			part, err := a.fieldType(each)
			if err != nil {
				return nil, err
			}
			parts = append(parts, &sql.StructField{Name: each.Name, Type_: part})
		}
		found, err = a.types.MakeStructType2(parts)
	}
	if err != nil || described.Mode != "REPEATED" {
		return found, err
	}
	return a.types.MakeArrayType2(found)
}

func (a *analyser) parameterType(described parameterType) (sql.Googlesql_TypeNode, error) {
	switch {
	case described.Array != nil:
		element, err := a.parameterType(*described.Array)
		if err != nil {
			return nil, err
		}
		return a.types.MakeArrayType2(element)
	case len(described.Struct) > 0:
		var parts []*sql.StructField
		for _, each := range described.Struct {
			part, err := a.parameterType(each.Type)
			if err != nil {
				return nil, err
			}
			parts = append(parts, &sql.StructField{Name: each.Name, Type_: part})
		}
		return a.types.MakeStructType2(parts)
	default:
		return a.simpleType(described.Type)
	}
}

func (a *analyser) simpleType(name string) (sql.Googlesql_TypeNode, error) {
	kind, known := kinds[strings.ToUpper(name)]
	if !known {
		return nil, fmt.Errorf("type %q is not known here", name)
	}
	return a.types.MakeSimpleType(kind)
}
