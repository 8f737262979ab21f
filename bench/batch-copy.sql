-- The same file into the log.
copy f6.event (event_type, object_ids, event_data) from '../batch-:size';
