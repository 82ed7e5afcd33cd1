from pathlib import Path
def write_audit_report(path, findings, summary, dataset, quarantine):
    Path(path,'report.html').write_text('x')
