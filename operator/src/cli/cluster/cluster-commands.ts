import type { Command } from '../command.ts';
import { version } from '../commands/version.ts';
import { debugBundle } from './debug-bundle.ts';
import { describe } from './describe.ts';
import { get } from './get.ts';
import { history } from './history.ts';
import { restart, resume, suspend } from './lifecycle.ts';
import { logs } from './logs.ts';
import { plan } from './plan.ts';
import { rollback } from './rollback.ts';
import { savepoint } from './savepoint.ts';
import { status } from './status.ts';

/** Against a cluster, in the order in which somebody on call needs them. */
export const clusterCommands: readonly Command[] = [
  status,
  get,
  describe,
  logs,
  history,
  plan,
  savepoint,
  rollback,
  suspend,
  resume,
  restart,
  debugBundle,
  version,
];
