import { after, before, type TestContext } from 'node:test';
import { type JobInCluster, prepareNamespace } from './job-in-cluster.ts';

/**
 * Tests in the order in which they are written, of one job in the cluster, or of several: each goes on where the last one ended. After one that failed the others would
 * say nothing and are skipped, and all that can be seen of the jobs is printed.
 */
export class Story {
  readonly #about: string;
  #failed: string | undefined;

  constructor(...jobs: readonly JobInCluster[]) {
    this.#about = jobs.map(({ name }) => name).join(', ');
    before(async () => {
      // Where the checker runs, whatever the namespace of the job.
      await prepareNamespace();
      for (const namespace of new Set(jobs.map((job) => job.namespace))) {
        await prepareNamespace(namespace);
      }
    });
    after(async () => {
      if (this.#failed !== undefined) {
        for (const job of jobs) {
          console.error(`${this.#failed}: failed. What is in the cluster now:\n${await job.describe()}`);
        }
      }
    });
  }

  /** The function of one test. `run` may give a few words of what it saw; they are printed with how long it took. */
  step(run: () => Promise<string | undefined>): (t: TestContext) => Promise<void> {
    return async (t) => {
      if (this.#failed !== undefined) {
        t.skip(`${this.#failed}: failed`);
        return;
      }
      const startedAtMs = performance.now();
      try {
        const seen = await run();
        const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1).padStart(6);
        console.log(`${seconds} s  ${this.#about}: ${t.name}${seen === undefined ? '' : ` – ${seen}`}`);
      } catch (error) {
        this.#failed = t.name;
        throw error;
      }
    };
  }
}
