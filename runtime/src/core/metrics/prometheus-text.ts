/** One value of one metric. */
export interface MetricSample {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** Samples of one thing share one object, so that it is made text once. */
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export const prometheusContentType = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * The text format of Prometheus, 0.0.4: metrics in the order of their names, each with its help and type once and its samples together. Written by hand
 * because libraries for it keep counters and gauges in this process, and ours come in messages from others.
 */
export function formatPrometheusText(samples: readonly MetricSample[]): string {
  const families = Map.groupBy(samples, ({ name }) => name);
  const labelTexts = new Map<MetricSample['labels'], string>();
  const lines: string[] = [];
  for (const [name, family] of [...families].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [{ help, type }] = family as [MetricSample, ...MetricSample[]];
    lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`);
    for (const { labels, value } of family) {
      let labelText = labelTexts.get(labels);
      if (labelText === undefined) {
        labelText = formatLabels(labels);
        labelTexts.set(labels, labelText);
      }
      lines.push(`${name}${labelText} ${formatValue(value)}`);
    }
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function formatValue(value: number): string {
  if (Number.isNaN(value)) {
    return 'NaN';
  }
  return Math.abs(value) === Number.POSITIVE_INFINITY ? (value > 0 ? '+Inf' : '-Inf') : String(value);
}
