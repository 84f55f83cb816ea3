import { JobError } from '@flinkjob/runtime/rest';
import type { JobClient } from '../../../src/engine/engine.ts';
import { notLeadingError } from '../../../src/job-manager-client/job-manager-client.ts';
import type { Accepted } from './simulated-job-manager.ts';
import type { SimulatedPod } from './simulated-pod.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { SimulationWorld } from './simulation-world.ts';

const timeoutMs = 3_000;

export interface Command {
  readonly type: Accepted;
  readonly operationId: string;
  readonly content: string;
}

export interface RestObserver {
  commanded(by: SimulatedProcess, command: Command): void;
}

/** The operator's way to JobManagers: its client behaves as the real one, over a network that delays and loses. */
export class SimulatedRest {
  readonly #world: SimulationWorld;
  readonly #observer: RestObserver;
  readonly #pods: () => readonly SimulatedPod[];

  constructor(
    world: SimulationWorld,
    options: { readonly observer: RestObserver; readonly pods: () => readonly SimulatedPod[] },
  ) {
    this.#world = world;
    this.#observer = options.observer;
    this.#pods = options.pods;
  }

  clientOf(process: SimulatedProcess, address: string, mayCommand = () => true): JobClient {
    const ip = address.slice(0, address.lastIndexOf(':'));
    const call = <T>(request: (client: JobClient) => Promise<T>) => this.#call(process, ip, request);
    const command = (type: Accepted, operationId: string, content: object) => {
      if (!mayCommand()) {
        throw notLeadingError(`${type} ${operationId}`);
      }
      this.#observer.commanded(process, { type, operationId, content: JSON.stringify(content) });
    };
    return {
      readStatus: () => call((client) => client.readStatus()),
      savepoint: async (operationId, options) => {
        command('Savepoint', operationId, {});
        return call((client) => client.savepoint(operationId, options));
      },
      releaseSavepoint: async (operationId, location) => {
        command('Release', operationId, { location });
        return call((client) => client.releaseSavepoint(operationId, location));
      },
      stop: async ({ operationId, deadlineSeconds }) => {
        command('Stop', operationId, { deadlineSeconds });
        return call((client) => client.stop({ operationId, deadlineSeconds }));
      },
      cancel: async (operationId) => {
        command('Cancel', operationId, {});
        return call((client) => client.cancel(operationId));
      },
    };
  }

  #call<T>(process: SimulatedProcess, ip: string, request: (client: JobClient) => Promise<T>): Promise<T> {
    const { time, random } = this.#world;
    const lost = this.#world.fault(0.02, 'a request to a JobManager is lost')
      ? random.pick(['Before', 'After'] as const)
      : undefined;
    return new Promise<T>((resolve, reject) => {
      const unreachable = () =>
        reject(
          new JobError(`the JobManager at ${ip} does not answer`, {
            ...{ domain: 'external', retry: 'backoff', code: 'JobManagerUnreachable' },
          }),
        );
      const cancelTimeout = process.clock.schedule(timeoutMs, unreachable);
      const answer = (settle: () => void) =>
        time.schedule(random.between(1, 10), () =>
          process.deliver(() => {
            cancelTimeout();
            settle();
          }),
        );
      time.schedule(random.between(1, 10), () => {
        const pod = this.#pods().find((it) => it.ip === ip);
        if (pod === undefined || (pod.node.state === 'Ready' && pod.process !== 'Running')) {
          answer(unreachable);
          return;
        }
        const { jobManager } = pod;
        if (jobManager === undefined || pod.node.state !== 'Ready' || pod.isHung || lost === 'Before') {
          return;
        }
        time.touchPromises();
        request(jobManager.client).then(
          (value) => (lost === undefined ? answer(() => resolve(value)) : undefined),
          (error) => (lost === undefined ? answer(() => reject(error)) : undefined),
        );
      });
    });
  }
}
