import { parentPort } from 'node:worker_threads';
import { assert } from '../core/assert.ts';
import { SlotThread } from './slot-thread.ts';
import type { SlotThreadInput } from './slot-thread-messages.ts';

// The first module of a slots' thread. Its listeners keep it, and the thread, alive. The first message says what to run; those after it wait for
// the listener that is added meanwhile.
const port = parentPort;
assert(port !== null, 'slot-thread-main runs in a thread of a TaskManager');
port.once('message', (input: SlotThreadInput) => new SlotThread(input, port));
