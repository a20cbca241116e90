import { useEffect, useId, useState } from "preact/hooks";

/** How far a long job is. */
interface Job {
  done: number;
  total: number;
  state: "running" | "done" | "failed";
  detail: string;
}

interface Where {
  label: string;
  /** Address of the job as JSON, or of a stream of it as events named `progress`; at most one of both. */
  poll: string;
  stream: string;
}

const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;

/** Goes on until the job ends; a server that is away is asked again, ever more rarely. */
function follow({ poll, stream }: Where, told: (job: Job) => void, lost: (lost: boolean) => void): () => void {
  if (stream) {
    const source = new EventSource(stream);
    source.addEventListener("open", () => lost(false));
    source.addEventListener("error", () => lost(true));
    source.addEventListener("progress", (event: MessageEvent<string>) => {
      const job = JSON.parse(event.data) as Job;
      if (job.state !== "running") source.close();
      told(job);
    });
    return () => source.close();
  }
  let timer = 0;
  let pause = PAUSE_MS;
  const ask = async (): Promise<void> => {
    try {
      const answer = await fetch(poll, { headers: { "Larder-By-Itself": "1" }, signal: AbortSignal.timeout(10_000) });
      if (!answer.ok) throw new Error(answer.statusText);
      const job = (await answer.json()) as Job;
      pause = PAUSE_MS;
      lost(false);
      told(job);
      if (job.state !== "running") return;
    } catch {
      lost(true);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
    timer = window.setTimeout(ask, pause);
  };
  timer = window.setTimeout(ask, pause);
  return () => clearTimeout(timer);
}

const WORDS = { running: "", done: "Done.", failed: "This did not work." };

export function Progress(props: Where & Job) {
  const [job, setJob] = useState<Job>(props);
  const [isLost, setLost] = useState(false);
  const id = useId();
  const isFollowed = job.state === "running" && (props.poll || props.stream) !== "";
  useEffect(() => (isFollowed ? follow(props, setJob, setLost) : undefined), [isFollowed]);
  const count = new Intl.NumberFormat(document.documentElement.lang);
  const share = job.total > 0 ? Math.floor((100 * job.done) / job.total) : 0;
  return (
    <>
      <div class="progress-head">
        <span id={id}>{props.label}</span>
        <span class="quiet">
          {count.format(job.done)} of {count.format(job.total)} · {share} %
        </span>
      </div>
      <progress class={job.state} max={job.total} value={job.done} aria-labelledby={id} />
      <p class={job.state === "failed" ? "wrong" : "quiet"} role="status">
        {isLost && job.state === "running" ? "The connection is lost. The job goes on." : job.detail || WORDS[job.state]}
      </p>
    </>
  );
}
