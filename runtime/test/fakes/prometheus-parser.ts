import assert from 'node:assert/strict';

/** One sample as a scrape reads it. */
interface ScrapedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Scrape {
  readonly types: ReadonlyMap<string, string>;
  readonly help: ReadonlyMap<string, string>;
  readonly samples: readonly ScrapedSample[];
}

const metricName = '[a-zA-Z_:][a-zA-Z0-9_:]*';

/**
 * Reads the text format of Prometheus as strictly as its own parser and `promtool check metrics`: HELP and TYPE once and before the samples, the samples of a
 * metric together, no series twice, a line feed at the end.
 */
export function parsePrometheusText(text: string): Scrape {
  const types = new Map<string, string>();
  const help = new Map<string, string>();
  const samples: ScrapedSample[] = [];
  const seen = new Set<string>();
  const finished = new Set<string>();
  let current: string | undefined;
  assert.ok(text === '' || text.endsWith('\n'), 'the last line ends');
  for (const line of text.split('\n').slice(0, -1)) {
    const comment = new RegExp(`^# (HELP|TYPE) (${metricName}) (.*)$`).exec(line);
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment;
      if (name !== current) {
        assert.ok(!finished.has(name), `${name} is in two places`);
        current = name;
        finished.add(name);
      }
      const known = kind === 'HELP' ? help : types;
      assert.ok(!known.has(name), `${kind} of ${name} twice`);
      assert.ok(kind === 'HELP' || ['counter', 'gauge'].includes(rest), `type ${rest}`);
      known.set(name, rest);
      continue;
    }
    const sample = parseSample(line);
    assert.equal(sample.name, current, `a sample among those of ${current}`);
    assert.ok(types.has(sample.name), `${sample.name} has no type`);
    const series = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    assert.ok(!seen.has(series), `${series} twice`);
    seen.add(series);
    assert.ok(types.get(sample.name) !== 'counter' || sample.value >= 0, `${series} is a counter below 0`);
    samples.push(sample);
  }
  return { types, help, samples };
}

function parseSample(line: string): ScrapedSample {
  const match = new RegExp(`^(${metricName})(?:\\{(.*)\\})? (NaN|[+-]Inf|[+-]?[0-9.]+(?:e[+-]?[0-9]+)?)$`).exec(line);
  assert.ok(match !== null, `a line that is no sample: ${line}`);
  const [, name = '', labelText = '', valueText = ''] = match;
  const labels: Record<string, string> = {};
  let rest = labelText;
  while (rest !== '') {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest);
    assert.ok(label !== null, `labels of ${line}`);
    const [whole, key = '', value = ''] = label;
    assert.ok(!(key in labels), `label ${key} twice: ${line}`);
    labels[key] = value.replaceAll(/\\(["\\n])/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
    rest = rest.slice(whole.length);
  }
  const value = valueText.endsWith('Inf') ? Number(`${valueText}inity`) : Number(valueText);
  return { name, labels, value };
}
