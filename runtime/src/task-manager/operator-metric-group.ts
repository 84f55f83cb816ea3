import { JobError } from '../core/job-error.ts';
import type { Counter, Gauge, Histogram, MetricGroup } from '../core/job-graph/metric-group.ts';
import { userMetricPrefix } from '../core/metrics/metric-definitions.ts';
import type { OperatorMetric } from '../core/protocol/messages.ts';

/** Of one operator. All of them travel to the JobManager every second, from every subtask. */
const userMetricCountMax = 50;
const nameLengthMax = 64;
const namePattern = /^[A-Za-z][A-Za-z0-9_]*$/;
/** Values whose quantiles a histogram shows: the last ones. */
const histogramValueCount = 1024;

interface UserMetric {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** By what follows the name. */
  measure(): readonly { readonly suffix: string; readonly kind: OperatorMetric['kind']; readonly value: number }[];
}

/** What the author of a job measures in one operator of one subtask. */
export class OperatorMetricGroup implements MetricGroup {
  readonly #operatorId: string;
  readonly #metrics = new Map<string, UserMetric>();

  constructor(operatorId: string) {
    this.#operatorId = operatorId;
  }

  counter(name: string): Counter {
    const known = this.#metrics.get(name);
    return known instanceof UserCounter ? known : this.#add(name, new UserCounter(), known);
  }

  gauge(name: string): Gauge {
    const known = this.#metrics.get(name);
    return known instanceof UserGauge ? known : this.#add(name, new UserGauge(), known);
  }

  histogram(name: string): Histogram {
    const known = this.#metrics.get(name);
    return known instanceof UserHistogram ? known : this.#add(name, new UserHistogram(), known);
  }

  measure(): readonly OperatorMetric[] {
    return [...this.#metrics].flatMap(([name, metric]) =>
      metric.measure().map(({ suffix, kind, value }) => ({
        ...{ uid: this.#operatorId, name: `${userMetricPrefix}${name}${suffix}`, kind, value },
      })),
    );
  }

  #add<T extends UserMetric>(name: string, metric: T, known: UserMetric | undefined): T {
    if (known !== undefined) {
      throw this.#error(
        'MetricKindMismatch',
        `uses the metric '${name}' as a ${metric.kind}, which is a ${known.kind} elsewhere`,
        'Give them different names.',
      );
    }
    if (typeof name !== 'string' || !namePattern.test(name) || name.length > nameLengthMax) {
      throw this.#error(
        'MetricNameInvalid',
        `names a metric ${JSON.stringify(name)}`,
        `Use letters, digits and '_', a letter first, at most ${nameLengthMax}.`,
      );
    }
    if (this.#metrics.size >= userMetricCountMax) {
      throw this.#error(
        'TooManyMetrics',
        `has ${userMetricCountMax} metrics and asks for another, '${name}'`,
        'Do not make names of metrics from records; use a few fixed ones.',
      );
    }
    this.#metrics.set(name, metric);
    return metric;
  }

  #error(code: string, what: string, remedy: string): JobError {
    return new JobError(`operator '${this.#operatorId}' ${what}`, { domain: 'user', retry: 'never', code, remedy });
  }
}

class UserCounter implements Counter, UserMetric {
  readonly kind = 'counter';
  #value = 0;

  inc(by = 1): void {
    if (!(by >= 0)) {
      throw new RangeError(`a counter is increased by 0 or more, not by ${by}`);
    }
    this.#value += by;
  }

  measure() {
    return [{ suffix: '', kind: 'Counter', value: this.#value }] as const;
  }
}

class UserGauge implements Gauge, UserMetric {
  readonly kind = 'gauge';
  #value: number | undefined;

  set(value: number): void {
    this.#value = value;
  }

  measure() {
    return this.#value === undefined ? [] : ([{ suffix: '', kind: 'Gauge', value: this.#value }] as const);
  }
}

const quantiles = [
  ['_p50', 0.5],
  ['_p95', 0.95],
  ['_p99', 0.99],
] as const;

class UserHistogram implements Histogram, UserMetric {
  readonly kind = 'histogram';
  readonly #values = new Float64Array(histogramValueCount);
  #count = 0;
  #sum = 0;

  update(value: number): void {
    this.#values[this.#count % histogramValueCount] = value;
    this.#count++;
    this.#sum += value;
  }

  measure() {
    const sorted = this.#values.slice(0, Math.min(this.#count, histogramValueCount)).sort();
    const gauges = sorted.length === 0 ? [] : quantiles.map(([suffix, share]) => ({ suffix, value: quantile(sorted, share) }));
    return [
      { suffix: '_count', kind: 'Counter', value: this.#count } as const,
      { suffix: '_sum', kind: 'Counter', value: this.#sum } as const,
      ...gauges.map(({ suffix, value }) => ({ suffix, kind: 'Gauge', value }) as const),
    ];
  }
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
}
