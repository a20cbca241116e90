import "./styles/tokens.css";
import "./styles/ground.css";
import "./styles/frame.css";
import "./styles/controls.css";
import "./styles/windows.css";
import "./styles/form.css";
import "./styles/table.css";
import "./styles/parts.css";
import "./styles/people.css";
import "./styles/search.css";
import "./styles/setup.css";
import "./styles/sheet.css";
import "./styles/media.css";
import "./icon.svg?url";
import { openDialogs } from "./dialog";
import { enhance } from "./enhance";
import { watchForms } from "./form";
import { keepForms } from "./keep";
import { watchPlaces } from "./locate";
import { watchShortcuts } from "./shortcuts";
import { watchTheme } from "./theme";
import { tellFlash } from "./toast";

// Pages work without all this: it makes them quicker to use.
document.documentElement.dataset["scripted"] = "";
openDialogs();
watchTheme(); // before forms: it keeps its own from being sent
watchForms();
keepForms(); // before places: what was typed comes before what is guessed
watchPlaces();
watchShortcuts();
tellFlash();
enhance(document);
