import { render } from "preact";

render(<main>Larder</main>, document.getElementById("page")!);
