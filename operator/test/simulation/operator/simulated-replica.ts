import { clusterControllerOptions, clusterSavepointOptions } from '../../../src/cluster-controller.ts';
import type { Engine } from '../../../src/engine/engine.ts';
import { leadingEngine } from '../../../src/engine/leading-engine.ts';
import { typescriptEngine } from '../../../src/engine/typescript/typescript-engine.ts';
import { Controller, type ControllerOptions } from '../../../src/flink-job/controller.ts';
import { SavepointController, type SavepointControllerOptions } from '../../../src/flink-savepoint/controller.ts';
import type { ApiConnection } from '../../../src/kubernetes/api-connection.ts';
import { createApiAccess, createObjectClient } from '../../../src/kubernetes/api-object-client.ts';
import { EventRecorder } from '../../../src/kubernetes/event-recorder.ts';
import { LeaderLease, leaseLimitsOf } from '../../../src/kubernetes/leader-lease.ts';
import { Metrics } from '../../../src/kubernetes/metrics.ts';
import { timeSource } from '../../../src/kubernetes/time-source.ts';
import type { Log } from '../../../src/log.ts';
import type { SimulatedApiServer } from './simulated-api-server.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { SimulatedRest } from './simulated-rest.ts';
import type { SimulationWorld } from './simulation-world.ts';

export const leaseName = 'flinkjob-operator';
export const operatorNamespace = 'flinkjob-system';

export interface ReplicaOptions {
  readonly world: SimulationWorld;
  readonly server: SimulatedApiServer;
  readonly rest: SimulatedRest;
  /** What is planted: other parts than the right ones. */
  readonly replace: (options: ControllerOptions) => ControllerOptions;
  readonly replaceSavepoints: (options: SavepointControllerOptions) => SavepointControllerOptions;
  /** Planted, too: whether the process heeds its lease. */
  readonly heedsLease: boolean;
}

/** Somewhat longer than usual: half of all requests would be renewals. */
const leaseLimits = leaseLimitsOf(24);

/** Deadlines and back-offs so short that they run out within the minutes of a simulation. */
export const simulatedLimits = { preFlightTimeoutMs: 40_000, startTimeoutMs: 60_000, retryDelayMaxMs: 60_000 };

export const simulatedSavepointLimits = {
  ...{ jobMissingTimeoutMs: 60_000, takeSlackMs: 20_000, findTimeoutMs: 60_000, importTimeoutMs: 60_000, drillTimeoutMs: 90_000 },
  ...{ deletionTimeoutMs: 120_000, jobManagerSilentMs: 30_000, retryDelayMaxMs: 30_000 },
};

/**
 * One replica of the operator, as `runClusterOperator` puts it together: the real lease, controller, store, platform and events, over connections of the
 * simulation. Its watchdog, a thread of its own, is the only part that is imitated.
 */
export async function runReplica(process: SimulatedProcess, stop: AbortSignal, options: ReplicaOptions): Promise<void> {
  const { world, server, rest, replace, replaceSavepoints, heedsLease } = options;
  const { clock } = process;
  const log = logOf(process, world);
  const metrics = new Metrics();
  const unguarded = server.connectionOf(process);
  const lease = new LeaderLease({
    ...{ connection: unguarded, paths: createApiAccess({ connection: unguarded, clock, metrics }).paths },
    ...{ namespace: operatorNamespace, name: leaseName, identity: process.name, log, metrics, clock, limits: leaseLimits },
    time: timeSource(clock.monotonicMs, clock.nowMs),
  });
  const isLeading = () => !heedsLease || lease.isHeld();
  process.onResume = () => {
    // Kills a process that stood still until after the end of its lease.
    const { leaseMs, giveUpAfterMs } = leaseLimits;
    if (led && heedsLease && !lease.isHeld()) {
      world.time.schedule(world.random.between(1, (leaseMs - giveUpAfterMs) / 2), () => process.kill());
    }
  };
  let led = false;
  if (!(await lease.acquire(stop))) {
    process.kill();
    return;
  }
  led = true;
  world.trace(`${process.name} leads`);
  const connection: ApiConnection = server.connectionOf(process, isLeading);
  const access = createApiAccess({ connection, clock, metrics });
  const client = createObjectClient(access);
  const events = new EventRecorder({ client, instance: process.name, clock, log, metrics });
  const simulatedEngine: Engine = {
    ...typescriptEngine,
    client: (address, _credentials, mayCommand) => rest.clientOf(process, address, mayCommand),
  };
  const engine = leadingEngine(simulatedEngine, isLeading);
  const parts = { access, client, engine, events, clusterId: 'cluster', operatorNamespace, clock, log, metrics };
  const right = clusterControllerOptions(parts);
  const controller = new Controller(replace({ ...right, limits: { ...right.limits, ...simulatedLimits } }));
  const savepoints = new SavepointController(
    replaceSavepoints({ ...clusterSavepointOptions(parts, right), limits: simulatedSavepointLimits }),
  );
  if (heedsLease) {
    lease.lost.addEventListener('abort', () => process.kill(), { once: true });
  }
  await Promise.all([controller.run(stop), savepoints.run(stop)]);
  await events.stop();
  await lease.release();
  process.kill();
}

/** Failures are traced; they are what the operator makes of faults, and no violations by themselves. */
function logOf(process: SimulatedProcess, world: SimulationWorld): Log {
  const say = (fields: object, message: string) => {
    const { err, problem, ...rest } = fields as { err?: Error; problem?: { message?: string }; flinkJob?: string; key?: string };
    const { attempt: _attempt, ...shown } = rest as { attempt?: unknown };
    world.trace(`${process.name}: ${message} ${JSON.stringify(shown)} ${err?.message ?? problem?.message ?? ''}`.trimEnd());
    if (err !== undefined && isBug(err)) {
      world.report(`an error that no fault explains: ${err.stack ?? err.message}`);
    }
  };
  return { debug() {}, info: say, warn: say, error: say };
}

function isBug(error: Error): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}
