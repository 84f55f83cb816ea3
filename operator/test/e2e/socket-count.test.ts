/** The first job anybody tries, the README's, from `examples/`: words typed into a socket are counted, at parallelism 1 and 3. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JobUnderTest } from './job-under-test.ts';

const module = fileURLToPath(new URL('../../../examples/socket-word-count/socket-word-count.ts', import.meta.url));

/** What `nc -lk 9000` is for a person: accepts the job's connection and sends what is typed. */
class Typist {
  readonly #server: Server;
  #socket: Socket | undefined;

  constructor(t: TestContext) {
    this.#server = createServer((socket) => {
      this.#socket = socket;
      socket.on('error', () => {
        // The job ends with a reset at the end of the test.
      });
    });
    t.after(() => {
      this.#socket?.destroy();
      this.#server.close();
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  get connected(): boolean {
    return this.#socket !== undefined;
  }

  type(line: string): void {
    assert(this.#socket !== undefined);
    this.#socket.write(`${line}\n`);
  }
}

for (const parallelism of [1, 3]) {
  test(`hello world typed twice is counted to two per word at parallelism ${parallelism}`, async (t) => {
    const typist = new Typist(t);
    const port = await typist.listen();
    const job = new JobUnderTest(t);
    job.edit(
      JobUnderTest.spec(job, module, {
        job: { module, args: { host: '127.0.0.1', port: String(port) }, parallelism },
      }),
    );
    job.dev();
    await job.until('the job connects', () => (typist.connected ? true : undefined));
    typist.type('hello world');
    typist.type('hello world');
    const tuples = await job.until('four counts are printed', () => {
      const found = job.printed(/\((?:hello|world),\d+\)/);
      return found.length >= 4 ? found : undefined;
    });
    if (parallelism === 1) {
      assert.deepEqual(tuples, ['(hello,1)', '(world,1)', '(hello,2)', '(world,2)']);
    } else {
      for (const word of ['hello', 'world']) {
        assert.deepEqual(
          tuples.filter((tuple) => tuple.startsWith(`(${word},`)),
          [`(${word},1)`, `(${word},2)`],
        );
      }
    }
  });
}
