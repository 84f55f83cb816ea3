import { formatPrometheusText, type MetricSample } from '@flinkjob/runtime/prometheus-text';

type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(labels?: Labels, by?: number): void;
}

export interface GaugeValue {
  readonly labels?: Labels;
  readonly value: number;
}

/** What the parts of the controller count, and its text for Prometheus. Names get the prefix `flinkjob_operator_`; counters end in `_total` by their own name. */
export class Metrics {
  readonly #counters = new Map<
    string,
    { readonly help: string; readonly values: Map<string, { labels: Labels; value: number }> }
  >();
  readonly #gauges = new Map<string, { readonly help: string; readonly reads: (() => readonly GaugeValue[])[] }>();

  /** The same name again is the same counter. */
  counter(name: string, help: string): Counter {
    const known = this.#counters.get(name) ?? { help, values: new Map() };
    this.#counters.set(name, known);
    return {
      add(labels = {}, by = 1) {
        const key = JSON.stringify(Object.entries(labels).sort());
        const entry = known.values.get(key) ?? { labels, value: 0 };
        entry.value += by;
        known.values.set(key, entry);
      },
    };
  }

  /** Read when somebody looks. The same name again adds to what is read. */
  gauge(name: string, help: string, read: () => readonly GaugeValue[]): void {
    const known = this.#gauges.get(name) ?? { help, reads: [] };
    known.reads.push(read);
    this.#gauges.set(name, known);
  }

  samples(): readonly MetricSample[] {
    const counters = [...this.#counters].flatMap(([name, { help, values }]) =>
      [...values.values()].map(({ labels, value }) => sample('counter', { name, help, labels, value })),
    );
    const gauges = [...this.#gauges].flatMap(([name, { help, reads }]) =>
      reads.flatMap((read) => read().map(({ labels = {}, value }) => sample('gauge', { name, help, labels, value }))),
    );
    return [...counters, ...gauges];
  }

  text(): string {
    return formatPrometheusText(this.samples());
  }
}

function sample(type: MetricSample['type'], { name, ...rest }: Omit<MetricSample, 'type'>): MetricSample {
  return { ...rest, name: `flinkjob_operator_${name}`, type };
}
