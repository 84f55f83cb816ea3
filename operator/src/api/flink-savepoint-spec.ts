import { z } from 'zod';
import { savepointUrl } from './flink-job-spec.ts';

/** `spec` of a FlinkSavepoint: the one source of its types and of its CustomResourceDefinition, as `flink-job-spec.ts` is for FlinkJob. */
export const FlinkSavepointSpec = z
  .strictObject({
    flinkJobName: z
      .string()
      .min(1)
      .max(45)
      .regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/)
      .meta({ description: 'The FlinkJob, in this namespace, whose state it is.' }),
    format: z.enum(['Native', 'Canonical']).default('Native').meta({
      description:
        'Native: names for files that are in storage anyway, whatever the size of the state. Canonical: typed rows that every state backend reads, written anew.',
    }),
    import: z
      .strictObject({
        path: z
          .string()
          // The longest that a rule may be asked to compare: without a bound an API server refuses the definition for its cost.
          .max(1024)
          .regex(savepointUrl)
          .meta({
            description: 'URL, file: or s3:, of an exported savepoint, or of a checkpoint or savepoint in another lineage.',
          }),
      })
      .optional()
      .meta({
        description:
          'Takes none, but copies this one into the lineage of a FlinkJob that has no state yet, such as one made with desiredState Suspended; its first start continues from it.',
      }),
    drill: z.enum(['None', 'Once']).default('None').meta({
      description:
        'Once: as soon as it is complete, a pod plans a restore with the graph of the job and reads every file and row; the condition Restorable says what came of it.',
    }),
    startDeadlineSeconds: z.int().min(10).max(604_800).default(3600).meta({
      description: 'How long it waits for its job to run, and for savepoints of the same job before it.',
    }),
    deletionPolicy: z.enum(['Delete', 'Retain']).default('Delete').meta({
      description:
        'What deleting this resource does with the savepoint in storage. Delete: it goes with all that only it names, whether or not the job runs; what a start would restore stays until there is something newer. Retain: nothing. May be changed.',
    }),
    ttlSeconds: z.int().min(60).max(315_360_000).optional().meta({
      description: 'This resource is deleted so long after it was complete, or failed. May be changed.',
    }),
  })
  .meta({
    'x-kubernetes-validations': [
      // `import` is a word of CEL: a field of that name is called so in a rule.
      {
        rule: 'self.flinkJobName == oldSelf.flinkJobName && self.format == oldSelf.format && self.drill == oldSelf.drill && self.startDeadlineSeconds == oldSelf.startDeadlineSeconds && has(self.__import__) == has(oldSelf.__import__) && (!has(self.__import__) || self.__import__.path == oldSelf.__import__.path)',
        message: 'only deletionPolicy and ttlSeconds of a FlinkSavepoint may be changed; make another one for another savepoint',
      },
      {
        rule: "!has(self.__import__) || !has(self.format) || self.format == 'Native'",
        message: 'format says how a savepoint is taken; one that is imported stays as it is',
      },
    ],
  });
export type FlinkSavepointSpec = z.infer<typeof FlinkSavepointSpec>;
