/**
 * Builds what checks alerts and dashboards, unless it is there already: promtool, and a program that scrapes and answers queries with the parts of Prometheus that
 * do so. Without service discovery, most of which speaks to clouds.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildGoProgram } from '../build-go-program.ts';

const module = fileURLToPath(new URL('.', import.meta.url));
const tags = 'remove_all_sd';

export interface PrometheusPrograms {
  readonly promtool: string;
  readonly query: string;
}

export async function buildPrometheus(): Promise<PrometheusPrograms> {
  const promtool = await buildGoProgram({
    ...{ cacheName: 'promtool', title: 'promtool', module, tags, fileName: 'promtool' },
    command: 'github.com/prometheus/prometheus/cmd/promtool',
    expected: 'two to four minutes',
  });
  const query = await buildGoProgram({
    ...{ cacheName: 'prometheus-query', title: 'the query engine of Prometheus', module, tags, fileName: 'query' },
    command: './query',
    expected: 'a few seconds after promtool',
  });
  return { promtool, query };
}

/** Undefined unless both have been built. Of no more use than that: a test that builds for minutes is a test that nobody runs. */
export function builtPrometheus(): PrometheusPrograms | undefined {
  const at = (name: string, file: string) => fileURLToPath(new URL(`../../.cache/${name}/current/${file}`, import.meta.url));
  const [promtool, query] = [at('promtool', 'promtool'), at('prometheus-query', 'query')];
  return existsSync(promtool) && existsSync(query) ? { promtool, query } : undefined;
}
