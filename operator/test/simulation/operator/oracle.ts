import { labels } from '../../../src/api/labels.ts';
import type { ApiRequest } from '../../../src/kubernetes/api-connection.ts';
import type { Change } from '../../fakes/api-objects.ts';
import { isReplica, JobOracle, type JobOracleOptions } from './job-oracle.ts';
import { PolicyOracle } from './policy-oracle.ts';
import { SavepointOracle, type SavepointOracleOptions } from './savepoint-oracle.ts';
import type { ServerObserver } from './simulated-api-server.ts';
import type { ClusterObserver } from './simulated-cluster.ts';
import type { JobConfig } from './simulated-job-manager.ts';
import type { LineageObserver, Opening, SimulatedLineage } from './simulated-lineage.ts';
import type { SimulatedPod } from './simulated-pod.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { Command, RestObserver } from './simulated-rest.ts';
import type { PlanOutcome, ShortLivedConfig } from './simulated-short-lived.ts';

/** Watches all that the operator does and says when a promise is broken. It knows nothing of how the operator decides. */
export class Oracle implements ServerObserver, ClusterObserver, RestObserver, LineageObserver {
  readonly #jobs: JobOracle;
  readonly #policies: PolicyOracle;
  readonly #savepoints: SavepointOracle;
  /** How often each sort of thing has happened: what never does proves nothing. */
  readonly seen = new Map<string, number>();

  constructor(options: JobOracleOptions & SavepointOracleOptions) {
    this.#jobs = new JobOracle(options);
    this.#policies = new PolicyOracle(options);
    this.#savepoints = new SavepointOracle(options);
  }

  requested(by: SimulatedProcess, request: ApiRequest): void {
    this.#jobs.requested(by, request);
  }

  changed(change: Change, by: string): void {
    const { object, type } = change;
    const byReplica = isReplica(by);
    this.#jobs.changed(change, by);
    this.#policies.changed(change, { byReplica });
    this.#savepoints.changed(change, { byReplica });
    if (object.kind === 'ConfigMap' && type === 'ADDED' && object.metadata.labels?.[labels.component] === 'savepoint') {
      const { 'config.json': text = '{}' } = object['data'] as Record<string, string>;
      const { task = { type: 'None' } } = JSON.parse(text) as { readonly task?: ShortLivedConfig['task'] | { type: 'None' } };
      this.#note(`task ${task.type}`);
      this.#savepoints.configMade(object.metadata.name, task);
    }
    if (object.kind === 'Event' && type === 'ADDED') {
      this.#note(`event ${object['reason']}`);
    }
    if (object.kind === 'Namespace' && type === 'DELETED') {
      this.#note('namespace gone');
    }
  }

  commanded(by: SimulatedProcess, command: Command): void {
    const { type, operationId } = command;
    this.#note(`command ${type}`);
    this.#jobs.onlyTheLeader(by, `${type} ${operationId}`);
    if (type === 'Savepoint' || type === 'Release') {
      this.#savepoints.commanded(command);
    } else {
      this.#jobs.commanded(command);
      this.#policies.commanded(command);
    }
  }

  accepted(): void {}

  planned(config: JobConfig, result: PlanOutcome, pod: SimulatedPod): void {
    this.#jobs.planned(config, result, pod);
  }

  opened(lineage: SimulatedLineage, opening: Opening): void {
    this.#jobs.opened(lineage, opening);
  }

  purged(lineage: SimulatedLineage): void {
    this.#note('lineage purged');
    this.#jobs.purged(lineage);
    this.#savepoints.purged(lineage);
  }

  released(_lineage: SimulatedLineage, location: string): void {
    this.#savepoints.released(location);
  }

  requestsSince(fromMs: number): number {
    return this.#jobs.requestsSince(fromMs);
  }

  hasExpired(name: string): boolean {
    return this.#policies.hasExpired(name);
  }

  whyNotTidy(lineages: readonly SimulatedLineage[]): string | undefined {
    return this.#savepoints.whyNotTidy(lineages);
  }

  #note(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }
}
