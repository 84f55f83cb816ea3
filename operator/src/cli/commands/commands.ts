import type { Command } from '../command.ts';
import { apply } from './apply.ts';
import { janitor, lineage, run, state } from './delegated.ts';
import { deleteCommand } from './delete.ts';
import { describe } from './describe.ts';
import { dev } from './dev.ts';
import { get } from './get.ts';
import { logs } from './logs.ts';
import { plan } from './plan.ts';
import { savepoint } from './savepoint.ts';
import { version } from './version.ts';

/** In the order in which a newcomer meets them. */
export const commands: readonly Command[] = [
  dev,
  run,
  get,
  describe,
  logs,
  savepoint,
  plan,
  apply,
  deleteCommand,
  lineage,
  state,
  janitor,
  version,
];
