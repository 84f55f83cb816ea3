// Runs the scripts that Argo CD runs for a resource, in the interpreter that Argo CD has built in, with no more of Lua's library than it gives them: for tests of these scripts.
//
// It reads one JSON object a line, {"script": "…", "object": {…}}, and answers each with one line: {"result": …} or {"error": "…"}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Of a line; the largest FlinkJob is far below it.
const lineBytesMax = 8 << 20

// As long as Argo CD waits for a script.
const scriptTimeout = time.Second

type question struct {
	Script string `json:"script"`
	Object any    `json:"object"`
}

type answer struct {
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineBytesMax)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := answers.Encode(answerTo(lines.Bytes())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answerTo(line []byte) answer {
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{Error: err.Error()}
	}
	result, err := run(asked)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Result: result}
}

func run(asked question) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	deadline, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	state.SetContext(deadline)
	state.SetGlobal("obj", toLua(state, asked.Object))
	if err := state.DoString(asked.Script); err != nil {
		return nil, err
	}
	table, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return nil, fmt.Errorf("the script returns a %s, not a table", state.Get(-1).Type())
	}
	return fromLua(table)
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch it := value.(type) {
	case bool:
		return lua.LBool(it)
	case float64:
		return lua.LNumber(it)
	case string:
		return lua.LString(it)
	case []any:
		table := state.CreateTable(len(it), 0)
		for _, each := range it {
			table.Append(toLua(state, each))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(it))
		for key, each := range it {
			table.RawSetString(key, toLua(state, each))
		}
		return table
	default:
		return lua.LNil
	}
}

// Lua has one sort of table: an empty one becomes a list, as in Argo CD, which then takes what was an object before for the same as before.
func fromLua(value lua.LValue) (any, error) {
	switch it := value.(type) {
	case lua.LBool:
		return bool(it), nil
	case lua.LNumber:
		return float64(it), nil
	case lua.LString:
		return string(it), nil
	case *lua.LTable:
		return fromTable(it)
	default:
		return nil, fmt.Errorf("a %s has no place in JSON", value.Type())
	}
}

func fromTable(table *lua.LTable) (any, error) {
	if key, _ := table.Next(lua.LNil); key == lua.LNil || key.Type() == lua.LTNumber {
		list := make([]any, 0, table.Len())
		for index := 1; index <= table.Len(); index++ {
			each, err := fromLua(table.RawGetInt(index))
			if err != nil {
				return nil, err
			}
			list = append(list, each)
		}
		return list, nil
	}
	object := map[string]any{}
	for key, value := table.Next(lua.LNil); key != lua.LNil; key, value = table.Next(key) {
		each, err := fromLua(value)
		if err != nil {
			return nil, err
		}
		object[key.String()] = each
	}
	return object, nil
}
