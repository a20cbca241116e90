/** Fills coordinates from where this device is, and time zones from how it is set, for who would have to look them up. */
export function watchPlaces(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("[data-locate]");
    if (button) locate(button);
  });
  const zone = document.querySelector<HTMLInputElement>("[data-own-zone]");
  if (zone && !zone.value) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const reasons: Record<number, string> = {
  1: "This browser may not tell where it is. Type the coordinates, or allow it in the browser's settings.",
  2: "This device does not know where it is. Type the coordinates.",
  3: "Finding the place took too long. Try again outdoors, or type the coordinates.",
};

function locate(button: HTMLButtonElement): void {
  const told = button.parentElement?.querySelector<HTMLElement>("[data-located]");
  const tell = (text: string) => told && (told.textContent = text);
  if (!navigator.geolocation) return void tell(reasons[2] ?? "");
  tell("Looking for this place…");
  button.disabled = true;
  const found = ({ coords }: GeolocationPosition) => {
    button.disabled = false;
    fill(button.dataset["latitude"], coords.latitude);
    fill(button.dataset["longitude"], coords.longitude);
    tell(`Found, to within ${Math.ceil(coords.accuracy)} m.`);
  };
  const failed = ({ code }: GeolocationPositionError) => {
    button.disabled = false;
    tell(reasons[code] ?? reasons[2] ?? "");
  };
  navigator.geolocation.getCurrentPosition(found, failed, { enableHighAccuracy: true, timeout: 15_000, maximumAge: 60_000 });
}

function fill(id: string | undefined, degrees: number): void {
  const input = document.getElementById(id ?? "") as HTMLInputElement | null;
  if (!input) return;
  input.value = degrees.toFixed(6);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}
