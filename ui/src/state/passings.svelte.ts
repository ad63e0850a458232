/** The line whose passings the code view lists: chosen there, or by zooming to a line. */
class Passings {
  of = $state.raw<{ file: string; line: number } | null>(null)

  open(file: string, line: number): void {
    this.of = { file, line }
  }

  close(): void {
    this.of = null
  }

  toggle(file: string, line: number): void {
    if (this.of?.file === file && this.of.line === line) this.close()
    else this.open(file, line)
  }
}

export const passings = new Passings()
