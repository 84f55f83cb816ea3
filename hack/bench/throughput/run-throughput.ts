import { announce } from '../announce.ts';
import { Interrupted } from '../processes/interruption.ts';
import { requireProcessAccounting } from '../processes/processor-time.ts';
import type { Engine } from './engine.ts';
import { flinkEngine } from './flink-engine.ts';
import { measureThroughput, type ThroughputMeasurement } from './measure-throughput.ts';
import { ourEngine } from './our-engine.ts';
import type { ThroughputBenchmark, ThroughputCase } from './throughput-benchmark.ts';

/** For both engines' compilers to have seen the hot code; the first seconds say more about them than about the engine. */
const warmUpSeconds = 15;
const quickWarmUpSeconds = 10;

export interface ThroughputOptions {
  /** Undefined: all, or all that are not long in a quick run. */
  readonly caseIds: readonly string[] | undefined;
  readonly vsFlink: boolean;
  readonly isQuick: boolean;
  readonly repetitions: number;
  readonly windowSeconds: number;
  readonly profileDirectory: string | undefined;
  readonly signal: AbortSignal;
}

export interface CaseResult {
  readonly id: string;
  readonly runs: Readonly<Record<Engine['id'], readonly ThroughputMeasurement[]>>;
  /** Why an engine has fewer runs than were asked for. */
  readonly failures: readonly { readonly engine: Engine['id']; readonly message: string }[];
}

/** Measures case after case, engines in turn within each repetition, so that both meet the same noise. A failure ends its engine's part of a case. */
export async function runThroughput(benchmark: ThroughputBenchmark, options: ThroughputOptions): Promise<readonly CaseResult[]> {
  requireProcessAccounting();
  const engines = [ourEngine(options.profileDirectory), ...(options.vsFlink ? [flinkEngine] : [])];
  const cases = chosenCases(benchmark, options);
  for (const engine of engines) {
    await engine.prepare(options.signal);
  }
  const results: CaseResult[] = [];
  for (const measuredCase of cases) {
    results.push(await runCase(measuredCase, engines, options));
  }
  return results;
}

function chosenCases({ id, cases }: ThroughputBenchmark, { caseIds, isQuick }: ThroughputOptions): readonly ThroughputCase[] {
  if (caseIds === undefined) {
    return cases.filter(({ isLong }) => !(isQuick && isLong));
  }
  return caseIds.map((wanted) => {
    const found = cases.find((candidate) => candidate.id === wanted || candidate.id === `${id}-${wanted}`);
    if (found === undefined) {
      throw new Error(`${id} has no case '${wanted}'; it has ${cases.map((candidate) => candidate.id).join(', ')}`);
    }
    return found;
  });
}

async function runCase(
  measuredCase: ThroughputCase,
  engines: readonly Engine[],
  options: ThroughputOptions,
): Promise<CaseResult> {
  const runs: Record<Engine['id'], ThroughputMeasurement[]> = { ours: [], flink: [] };
  const failures: { engine: Engine['id']; message: string }[] = [];
  for (let repetition = 1; repetition <= options.repetitions; repetition++) {
    for (const engine of engines.filter(({ id }) => failures.every((failure) => failure.engine !== id))) {
      announce(`${measuredCase.id} on ${engine.name}, ${repetition} of ${options.repetitions} …`);
      try {
        const run = await measureThroughput({
          ...{ measuredCase, engine, windowSeconds: options.windowSeconds, signal: options.signal },
          warmUpSeconds: options.isQuick ? quickWarmUpSeconds : warmUpSeconds,
        });
        runs[engine.id].push(run);
        announce(`  ${describe(run)}`);
      } catch (error) {
        if (options.signal.aborted) {
          throw options.signal.reason instanceof Interrupted ? options.signal.reason : error;
        }
        const message = error instanceof Error ? error.message : String(error);
        failures.push({ engine: engine.id, message });
        announce(`  FAILED: ${message}`);
      }
    }
  }
  return { id: measuredCase.id, runs, failures };
}

function describe(run: ThroughputMeasurement): string {
  const rate = `${Math.round(run.recordsPerSecond)} records/s, ${Math.round(run.recordsPerCpuSecond)} per CPU second`;
  const noise = `others used ${run.otherCores.toFixed(2)} cores, load ${run.loadAverage.toFixed(1)}`;
  return `${rate}; ${noise}; ${run.checkpointsCompleted} checkpoints, ${run.resultsChecked} results checked`;
}
