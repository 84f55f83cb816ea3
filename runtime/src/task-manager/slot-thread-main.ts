import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../core/assert.ts';
import { SlotThread } from './slot-thread.ts';
import type { SlotThreadInput } from './slot-thread-messages.ts';

// The first module of a slots' thread. Its listeners keep it, and the thread, alive.
assert(parentPort !== null, 'slot-thread-main runs in a thread of a TaskManager');
new SlotThread(workerData as SlotThreadInput, parentPort);
