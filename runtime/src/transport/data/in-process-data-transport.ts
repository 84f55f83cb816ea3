import { assert } from '../../core/assert.ts';
import type { DataTransport } from './data-transport.ts';

/** Where there is one TaskManager only: no record leaves the process, so nothing listens. */
export const inProcessDataTransport: DataTransport = {
  listen: async () => ({ address: 'in-process', close: async () => {} }),
  open: async ({ address }) => {
    assert(false, `the only TaskManager opens a record stream to ${address}`);
  },
};
