/** What a controller needs to give a job its keys and to speak to it. */
export { Credentials } from './credentials.ts';
export { formatKeyFile, type JobKey, type JobKeys, keySizeBytes } from './job-keys.ts';
export { authorizeRestCall } from './rest-authorization.ts';
