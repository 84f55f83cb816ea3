import { z } from 'zod';
import { cronPattern, isCronSchedule, isTimeZone } from './cron-schedule.ts';

const cronSchedule = (what: string) =>
  z
    .string()
    .max(100)
    .regex(cronPattern, { abort: true })
    .refine(isCronSchedule, {
      params: {
        expected: 'a cron schedule that comes up: minute, hour, day of month, month, day of week',
        remedy: 'Write five fields, such as "0 3 * * *" for every night at three.',
      },
    })
    .meta({ description: `${what} Five fields: minute, hour, day of month, month, day of week, such as "0 3 * * *".` });

/** `spec.savepoints`: savepoints by the clock, how long they are kept, and how often the newest is proven. */
export const SavepointSchedule = z
  .strictObject({
    schedule: cronSchedule('When a savepoint is taken. Without it none is.').optional(),
    timeZone: z
      .string()
      .min(1)
      .max(64)
      .default('UTC')
      .refine(isTimeZone, {
        params: {
          expected: 'a time zone of the IANA database',
          remedy: 'Name one such as Europe/Berlin, or leave it out for UTC.',
        },
      })
      .meta({ description: 'Of schedule and drill.schedule, such as Europe/Berlin.' }),
    jitterSeconds: z.int().min(0).max(3600).default(0).meta({
      description:
        'The most that a run is put off, so that jobs with one schedule do not all begin at once. Of one job it is the same every time.',
    }),
    missedRun: z.enum(['RunOnce', 'Skip']).default('RunOnce').meta({
      description:
        'What becomes of times that passed while no operator ran. RunOnce: the newest of them is made up for, however late; the others are not. Skip: it is left out when it is later than startDeadlineSeconds.',
    }),
    startDeadlineSeconds: z.int().min(10).max(86400).default(300).meta({
      description:
        'How late a run may begin with missedRun Skip. Also how long a job that is not Running is waited for before the run fails.',
    }),
    format: z.enum(['Native', 'Canonical']).default('Native').meta({
      description:
        'Native: names for files that are in storage anyway. Canonical: typed rows that every state backend reads, written anew each time.',
    }),
    retain: z.int().min(1).max(1000).default(7).meta({
      description:
        'How many savepoints of the schedule stay. The oldest beyond that are deleted, with what they hold in storage, also while the job is down; never the only thing that the job could be restored from.',
    }),
    retainSeconds: z.int().min(60).max(315_360_000).optional().meta({
      description: 'How old a savepoint of the schedule may become. The newest one stays all the same.',
    }),
    drill: z
      .strictObject({
        schedule: cronSchedule(
          'When the newest savepoint is proven restorable: a pod plans a restore with the graph of the job and reads every row.',
        ),
      })
      .optional()
      .meta({ description: 'Restore drills.' }),
  })
  .meta({ description: 'Savepoints by the clock: FlinkSavepoints are made, kept and deleted.' });
export type SavepointSchedule = z.infer<typeof SavepointSchedule>;
