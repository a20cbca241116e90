-- A zone may be released by somebody who stands before the machine, whom nobody knows by name.
ALTER TABLE zones ADD COLUMN released_at_machine boolean NOT NULL DEFAULT false;
