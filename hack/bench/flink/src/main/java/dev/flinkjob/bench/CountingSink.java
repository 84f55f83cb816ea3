package dev.flinkjob.bench;

import java.io.IOException;
import java.nio.file.Path;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.api.java.tuple.Tuple2;

/** Discards its records: counts them, and samples one of 65,536 for the check of results. The counterpart of jobs/counting-sink.ts. */
final class CountingSink implements Sink<Tuple2<String, Long>> {
    private static final long serialVersionUID = 1L;
    private static final long SAMPLE_MASK = (1 << 16) - 1;

    private final String progressDirectory;

    CountingSink(String progressDirectory) {
        this.progressDirectory = progressDirectory;
    }

    @Override
    public SinkWriter<Tuple2<String, Long>> createWriter(WriterInitContext context) throws IOException {
        return new Writer(new ProgressFile(Path.of(progressDirectory), context.getTaskInfo().getIndexOfThisSubtask()));
    }

    private static final class Writer implements SinkWriter<Tuple2<String, Long>> {
        private final ProgressFile progress;
        private long records;

        Writer(ProgressFile progress) {
            this.progress = progress;
        }

        @Override
        public void write(Tuple2<String, Long> record, Context context) {
            if ((records & SAMPLE_MASK) == 0) {
                progress.sample(records, record.f0 + " " + record.f1);
            }
            progress.setRecords(++records);
        }

        @Override
        public void flush(boolean endOfInput) {}

        @Override
        public void close() {
            progress.close();
        }
    }
}
