import { announce } from '../bench/announce.ts';
import { FaultScene, type FaultSettings, type FaultyStorage } from './fault-scene.ts';
import type { Scenario } from './scenarios.ts';

export type Played =
  | { readonly result: 'Passed'; readonly name: string; readonly seconds: number; readonly says: string }
  | { readonly result: 'Failed'; readonly name: string; readonly seconds: number; readonly says: string }
  | { readonly result: 'Skipped'; readonly name: string; readonly seconds: 0; readonly says: string };

/** From filling the state to the judgement. A failure is a result too: the next scenario has a job of its own. */
export async function playScenario(
  scenario: Scenario,
  options: { readonly storage: FaultyStorage; readonly settings: FaultSettings; readonly signal: AbortSignal },
): Promise<Played> {
  const { name, whyNot = false } = scenario;
  if (whyNot !== false) {
    return { result: 'Skipped', name, seconds: 0, says: whyNot };
  }
  const startedAtMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedAtMs) / 100) / 10;
  try {
    const says = await play(scenario, options);
    return { result: 'Passed', name, seconds: seconds(), says };
  } catch (error) {
    options.signal.throwIfAborted();
    return { result: 'Failed', name, seconds: seconds(), says: error instanceof Error ? error.message : String(error) };
  }
}

async function play(
  scenario: Scenario,
  options: { readonly storage: FaultyStorage; readonly settings: FaultSettings; readonly signal: AbortSignal },
): Promise<string> {
  const { name, isLarge = false, mayRepeat = false } = scenario;
  await using scene = await FaultScene.make({ ...options, name, isLarge });
  // Disposed of before the scene, which removes its directory.
  await using disposables = new AsyncDisposableStack();
  const prepared = scenario.prepare?.(scene);
  if (prepared !== undefined) {
    disposables.defer(async () => {
      await scene.cluster.killAll();
      await prepared[Symbol.asyncDispose]();
    });
  }
  try {
    announce(`${name}: ${scenario.about}; ${scene.stateMebibytes} MiB of state …`);
    await scene.fill();
    announce(`${name}: filled`);
    const seen = await scenario.play(scene);
    announce(`${name}: ${seen}; judging …`);
    return `${seen}; ${await scene.judge({ mayRepeat })}`;
  } catch (error) {
    options.signal.throwIfAborted();
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${await scene.keepLogs()}`, { cause: error });
  }
}

export function formatPlayed({ result, name, seconds, says }: Played): string {
  const word = { Passed: 'ok     ', Failed: 'FAILED ', Skipped: 'skipped' }[result];
  return `${word} ${name.padEnd(14)} ${seconds.toFixed(1).padStart(7)} s  ${says}`;
}
