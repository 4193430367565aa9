package pgstore_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// A node is one of a query plan.
type node struct {
	Type  string `json:"Node Type"`
	Table string `json:"Relation Name"`
	Index string `json:"Index Name"`
	Plans []node
}

// walk calls f for a node and all below it.
func (n node) walk(f func(node)) {
	f(n)
	for _, below := range n.Plans {
		below.walk(f)
	}
}

// TestPlans asks the server how it runs the statements, on tables with some
// thousand rows, with the arguments at hand and without: no table is ever read
// as a whole.
func TestPlans(t *testing.T) {
	t.Parallel()
	name := schema(t)
	pool := connect(t, "pool_max_conns=1") // so that SET lasts
	s := openOn(t, pool, name, nil)
	client, token := record(keys.KindClient, "client"), record(keys.KindToken, "token")
	insert(t, s, client, token)
	execute(t, pool, `INSERT INTO `+name+`.records (`+required+`, expires_at)
		SELECT r.id || n, r.kind, r.org || n % 100, r.parent, r.label, r.scopes, r.rate_limit, r.token_lifetime,
			r.digest, r.created_at, 1, n
		FROM `+name+`.records AS r, generate_series(1, 5000) AS n`)
	execute(t, pool, `INSERT INTO `+name+`.uses SELECT id, 1 FROM `+name+`.records`)
	execute(t, pool, `INSERT INTO `+name+`.buckets SELECT id, 1, 1, 1 FROM `+name+`.records`)
	execute(t, pool, `VACUUM ANALYZE `+name+`.records, `+name+`.uses, `+name+`.buckets`)

	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		execute(t, pool, `SET plan_cache_mode = `+mode)
		for text, args := range s.Statements() {
			what := mode + ": " + strings.TrimSpace(strings.SplitN(strings.TrimSpace(text), "\n", 2)[0])
			execute(t, pool, `PREPARE statement AS `+text)
			var plans []struct{ Plan node }
			out := value[string](t, pool, `EXPLAIN (FORMAT JSON) EXECUTE statement`+literals(args))
			execute(t, pool, `DEALLOCATE statement`)
			if err := json.Unmarshal([]byte(out), &plans); err != nil {
				t.Fatal(err)
			}
			var tables []string
			plans[0].Plan.walk(func(n node) {
				if slices.Contains([]string{"records", "uses", "buckets"}, n.Table) {
					tables = append(tables, n.Table)
				}
				if n.Type == "Seq Scan" {
					t.Errorf("%s reads all of %s\n%s", what, n.Table, out)
				}
			})
			if len(tables) == 0 {
				t.Errorf("%s uses no table:\n%s", what, out)
			}
		}
	}
}

// literals returns the arguments of a statement as SQL.
func literals(args []any) string {
	texts := make([]string, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case nil:
			texts[i] = "NULL"
		case string:
			texts[i] = "'" + a + "'"
		case []string:
			texts[i] = "'{" + strings.Join(a, ",") + "}'"
		case []int64:
			texts[i] = "'{1}'"
		default:
			texts[i] = fmt.Sprint(a)
		}
	}
	return "(" + strings.Join(texts, ", ") + ")"
}
