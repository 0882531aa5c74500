# escape=`
FROM mcr.example.com/windows:1
RUN dir c:\
COPY a `
  c:\target\
USER ContainerUser
