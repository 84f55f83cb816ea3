// The text that Prometheus reads, written and read back. What is served is tested with REST and with a real job.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePrometheusText } from '../../../test/fakes/prometheus-parser.ts';
import { formatPrometheusText, type MetricSample } from './prometheus-text.ts';

const sample = (name: string, value: number, labels: Record<string, string> = {}): MetricSample => ({
  ...{ name, type: 'gauge', help: `help of ${name}`, labels, value },
});

test('samples of one metric stand together under its help and type, whatever order they come in', () => {
  const text = formatPrometheusText([sample('b', 1, { at: '0' }), sample('a', 2), sample('b', 3, { at: '1' })]);
  assert.equal(text, '# HELP a help of a\n# TYPE a gauge\na 2\n# HELP b help of b\n# TYPE b gauge\nb{at="0"} 1\nb{at="1"} 3\n');
  assert.equal(formatPrometheusText([]), '');
});

test('labels and values come back as they were', () => {
  const labels = { name: 'a "quoted" \\ name\nin two lines, {with} = all', uid: 'zähler' };
  const values = [0, -1.5, 1e21, 5e-324, 2 ** 53 - 1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const text = formatPrometheusText(values.map((value, index) => sample('m', value, { ...labels, index: String(index) })));
  const { samples } = parsePrometheusText(text);
  assert.deepEqual(
    samples.map(({ value }) => value),
    values,
  );
  assert.deepEqual(samples[3]?.labels, { ...labels, index: '3' });
});

test('the parser of the tests refuses what Prometheus refuses', () => {
  for (const broken of [
    'm 1\n',
    '# TYPE m gauge\nm 1',
    '# TYPE m gauge\nm{a="1"} 1\nm{a="1"} 2\n',
    '# TYPE m gauge\nm{a=1} 1\n',
    '# TYPE m gauge\nm 1 \n',
    '# TYPE m gauge\n# TYPE n gauge\nm 1\n',
    '# TYPE m counter\nm -1\n',
    '# TYPE m gauge\nm-n 1\n',
  ]) {
    assert.throws(() => parsePrometheusText(broken), broken);
  }
});
