// Scrapes targets and answers queries, with the scraper, the storage and the query engine of Prometheus: for tests of dashboards and alerts.
//
// It scrapes until every target has been scraped as often as asked for, then reads one JSON object a line, {"id": …, "query": "…"}, and answers each with
// one line, {"id": …, "type": "vector", "result": [{"labels": {…}, "value": "…"}], "error": "…"}. Nothing is kept.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
)

type question struct {
	ID    string `json:"id"`
	Query string `json:"query"`
}

type sample struct {
	Labels map[string]string `json:"labels"`
	// As text: JSON has neither NaN nor infinity.
	Value string `json:"value"`
}

type answer struct {
	ID     string   `json:"id"`
	Type   string   `json:"type,omitempty"`
	Result []sample `json:"result"`
	Error  string   `json:"error,omitempty"`
}

func main() {
	configFile := flag.String("config", "", "a file with scrape_configs of static_configs, as Prometheus takes it")
	scrapes := flag.Int("scrapes", 5, "answer after this many scrapes of every target")
	timeout := flag.Duration("timeout", 2*time.Minute, "give up when a target has not been scraped so often by then")
	flag.Parse()
	if err := run(*configFile, *scrapes, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(configFile string, scrapes int, timeout time.Duration) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	loaded, err := config.LoadFile(configFile, false, log)
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "flinkjob-prometheus-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	database, err := tsdb.Open(directory, log, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		return err
	}
	defer database.Close()
	manager, err := scrape.NewManager(&scrape.Options{}, log, nil, database, nil, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	if err := manager.ApplyConfig(loaded); err != nil {
		return err
	}
	groups, targets, err := staticTargets(loaded)
	if err != nil {
		return err
	}
	updates := make(chan map[string][]*targetgroup.Group, 1)
	updates <- groups
	go manager.Run(updates)
	defer manager.Stop()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: timeout, LookbackDelta: 5 * time.Minute,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{}),
	})
	ask := func(query string) (parser.Value, error) { return evaluate(engine, database, query) }
	if err := awaitScrapes(ask, targets, scrapes, timeout); err != nil {
		return err
	}
	return answerAll(ask)
}

// The targets are written in the configuration; nothing is discovered.
func staticTargets(loaded *config.Config) (map[string][]*targetgroup.Group, int, error) {
	groups, targets := map[string][]*targetgroup.Group{}, 0
	for _, job := range loaded.ScrapeConfigs {
		for _, each := range job.ServiceDiscoveryConfigs {
			static, ok := each.(discovery.StaticConfig)
			if !ok {
				return nil, 0, fmt.Errorf("%s: only static_configs are looked at", job.JobName)
			}
			groups[job.JobName] = append(groups[job.JobName], static...)
			for _, group := range static {
				targets += len(group.Targets)
			}
		}
	}
	return groups, targets, nil
}

func evaluate(engine *promql.Engine, database *tsdb.DB, text string) (parser.Value, error) {
	query, err := engine.NewInstantQuery(context.Background(), database, nil, text, time.Now())
	if err != nil {
		return nil, err
	}
	defer query.Close()
	result := query.Exec(context.Background())
	if result.Err != nil {
		return nil, result.Err
	}
	if vector, ok := result.Value.(promql.Vector); ok {
		// What it lies in is used again once the query is closed.
		return append(promql.Vector{}, vector...), nil
	}
	return result.Value, nil
}

func awaitScrapes(ask func(string) (parser.Value, error), targets, scrapes int, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		value, err := ask(fmt.Sprintf("count(sum_over_time(up[%ds]) >= %d)", int(timeout.Seconds()), scrapes))
		if err != nil {
			return err
		}
		if vector, ok := value.(promql.Vector); ok && len(vector) == 1 && int(vector[0].F) == targets {
			return nil
		}
		if time.Now().After(deadline) {
			up, _ := ask("up")
			return fmt.Errorf("not all of %d targets were scraped %d times within %s; up: %v", targets, scrapes, timeout, up)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func answerAll(ask func(string) (parser.Value, error)) error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		if err := out.Encode(answerOf(asked, ask)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func answerOf(asked question, ask func(string) (parser.Value, error)) answer {
	value, err := ask(asked.Query)
	if err != nil {
		return answer{ID: asked.ID, Result: []sample{}, Error: err.Error()}
	}
	answered := answer{ID: asked.ID, Type: string(value.Type()), Result: []sample{}}
	switch found := value.(type) {
	case promql.Vector:
		for _, each := range found {
			answered.Result = append(answered.Result, sample{each.Metric.Map(), strconv.FormatFloat(each.F, 'g', -1, 64)})
		}
	case promql.Scalar:
		answered.Result = append(answered.Result, sample{map[string]string{}, strconv.FormatFloat(found.V, 'g', -1, 64)})
	}
	return answered
}
