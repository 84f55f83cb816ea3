import { customResourceDefinition, structural } from './custom-resource-definition.ts';
import { savepointKind } from './flink-savepoint.ts';
import { FlinkSavepointSpec } from './flink-savepoint-spec.ts';
import { FlinkSavepointStatus } from './flink-savepoint-status.ts';

/** The CustomResourceDefinition of FlinkSavepoint, made from the zod schema. Throws when the schema is not structural. */
export function flinkSavepointDefinition(): object {
  return customResourceDefinition({
    kind: savepointKind,
    plural: 'flinksavepoints',
    singular: 'flinksavepoint',
    shortName: 'fsp',
    description: 'A savepoint of a FlinkJob: taken or imported, kept, proven restorable, and deleted with its resource.',
    spec: { description: 'What is wished for.', ...structural(FlinkSavepointSpec, 'spec') },
    status: { description: 'What became of it.', ...structural(FlinkSavepointStatus, 'status') },
    columns: [
      { name: 'Job', type: 'string', jsonPath: '.spec.flinkJobName' },
      { name: 'State', type: 'string', jsonPath: '.status.state' },
      {
        name: 'Restorable',
        type: 'string',
        jsonPath: '.status.conditions[?(@.type=="Restorable")].status',
        description: 'What the last restore drill has shown.',
      },
      { name: 'Completed', type: 'date', jsonPath: '.status.completedTime' },
      { name: 'Size', type: 'integer', jsonPath: '.status.sizeBytes', description: 'Bytes of state that it names.' },
      { name: 'Path', type: 'string', jsonPath: '.status.path', priority: 1 },
      { name: 'Problem', type: 'string', jsonPath: '.status.problem.code', priority: 1 },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  });
}
