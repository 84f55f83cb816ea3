import { formatPrometheusText, type MetricSample, prometheusContentType } from '../../core/metrics/prometheus-text.ts';
import type { Route } from './route.ts';

/** What Prometheus scrapes; `samples` is asked at each scrape. */
export function prometheusRoute(path: string, samples: () => readonly MetricSample[]): Route {
  return {
    ...{ method: 'GET', path },
    handle: () => ({ status: 200, text: formatPrometheusText(samples()), contentType: prometheusContentType }),
  };
}
